//! What audited policies cost a packet: of pods that have none, and of those that have. All packets are allowed, and judged each
//! time, as the first of a connection is.

use std::slice::from_ref;

use palisade::render::Logs;
use palisade_model::{Change, Selector};

use crate::single::{Sender, rows};
use crate::stage::{Enforced, Layout};
use crate::support::{CLIENT, address, all_peers, audited, forbidding, labelled, many_policies, pod, server};

pub(crate) fn measure() {
    let allowed = |more: &[Change]| {
        let changes = many_policies(1_000).into_iter().chain([pod("peer-0", CLIENT.into())]);
        Sender::new(&Layout::policies(changes.chain(more.iter().cloned()).collect()))
    };
    let free = |more: &[Change], logs| {
        let changes = [pod("client", CLIENT.into()), server()].into_iter().chain(more.iter().cloned()).collect();
        Sender::new(&Layout::Enforced(Enforced { logs, ..Enforced::of(changes) }))
    };
    let elsewhere = [pod("other", address(2_000)), audited(forbidding("elsewhere", labelled("app", "other")))];
    let here = audited(forbidding("here", labelled("app", "server")));
    let anybody = audited(forbidding("anybody", Selector::default()));
    let silent = Logs(None);
    rows(
        "allowed, judged each time",
        [
            ("allowed by 1,000 policies: an audited one on another pod", allowed(&[]), allowed(&elsewhere)),
            ("the same: audited ones on this pod, too", allowed(&[]), allowed(&[here.clone(), anybody])),
            ("no policy -> an audited one that allows it", free(&[], silent), free(&[audited(all_peers())], silent)),
            (
                "a policy that allows it -> the same, audited",
                free(&[all_peers()], silent),
                free(&[audited(all_peers())], silent),
            ),
            (
                "no policy -> an audited one that would drop it, counted",
                free(&[], silent),
                free(from_ref(&here), silent),
            ),
            (
                "no policy -> an audited one that would drop it, told",
                free(&[], Logs::STANDARD),
                free(from_ref(&here), Logs::STANDARD),
            ),
        ],
    );
}
