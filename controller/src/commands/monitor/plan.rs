//! What is asked.

use jiff::{SignedDuration, Timestamp};

use crate::cli::{FilterArgs, MonitorArgs};

/// What is asked, of whomever.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) filter: FilterArgs,
    /// What was, as far back.
    pub(super) since: Option<SignedDuration>,
    /// What was, the last so many.
    pub(super) last: Option<usize>,
    /// And what comes.
    pub(super) follows: bool,
    /// Sums instead.
    pub(super) top: bool,
}

impl Plan {
    pub(super) fn of(args: &MonitorArgs) -> Self {
        let asks_for_past = args.since.is_some() || args.last.is_some() || args.top;
        Self {
            filter: args.filter.clone(),
            since: args.since,
            // Who only follows wants nothing of what was.
            last: if asks_for_past { args.last } else { Some(0) },
            follows: args.follow || !asks_for_past,
            top: args.top,
        }
    }

    /// All that passed in this time; or sums of it, which are remembered for longer.
    pub(super) fn of_passed(since: SignedDuration, top: bool) -> Self {
        let filter = FilterArgs { allowed: true, would_drop: true, ..FilterArgs::default() };
        Self { filter, since: Some(since), last: None, follows: false, top }
    }

    /// What an agent is asked for. It knows no other filters, so that the last few are found here.
    pub(super) fn target(&self) -> String {
        let path = match (self.top, self.follows) {
            (true, _) => "/flows/summary",
            (false, true) => "/flows/follow",
            (false, false) => "/flows",
        };
        let wanted = match (self.last, self.since) {
            (Some(0), _) => Some("last=0".to_owned()),
            (_, since) => since.map(|since| format!("since={}", since.as_secs_f64())),
        };
        let allowed = self.filter.allowed.then(|| "allowed=true".to_owned());
        let query: Vec<String> = wanted.into_iter().chain(allowed).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    /// The same, as a command to run where an agent is.
    pub(super) fn command(&self) -> Vec<String> {
        let mut command = ["palisade", "monitor", "--output=json", "--log-level=error"].map(str::to_owned).to_vec();
        command.extend(self.since.map(|since| format!("--since={since}")));
        if self.top {
            command.push("--top".to_owned());
        } else {
            command.extend(self.last.map(|last| format!("--last={last}")));
        }
        if self.follows {
            command.extend(["--follow", "--alive"].map(str::to_owned));
        }
        command.extend(self.filter.arguments());
        command
    }

    /// Since when what was is asked for: what an agent cannot know that began later.
    pub(super) fn from(&self) -> Option<Timestamp> {
        Timestamp::now().checked_sub(self.since?).ok()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan(arguments: &[String]) -> Plan {
        match Cli::try_parse_from(arguments).unwrap().command {
            Command::Monitor(args) => Plan::of(&args),
            other => panic!("{other:?}"),
        }
    }

    fn of(text: &str) -> Plan {
        plan(&format!("palisade monitor {text}").split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_was_ends_unless_it_is_followed() {
        for (arguments, target) in [
            ("", "/flows/follow?last=0"),
            ("-f", "/flows/follow?last=0"),
            ("--since 10m", "/flows?since=600"),
            ("--last 20", "/flows"),
            ("--last 20 -f", "/flows/follow"),
            ("--since 1m --last 20 -f", "/flows/follow?since=60"),
            ("--top", "/flows/summary"),
            ("--top --since 1m", "/flows/summary?since=60"),
            ("--allowed", "/flows/follow?last=0&allowed=true"),
            ("--last 20 --allowed", "/flows?allowed=true"),
        ] {
            assert_eq!(of(arguments).target(), target, "{arguments}");
        }
    }

    /// Whoever runs the command asks for the same.
    #[test]
    fn a_command_is_the_same_plan() {
        for arguments in
            ["", "--since 90s", "--last 20 -n shop", "--since 1m --last 5 -f --allowed", "--top --peer a/b"]
        {
            let (asked, passed_on) = (of(arguments), plan(&of(arguments).command()));
            assert_eq!(format!("{asked:?}"), format!("{passed_on:?}"));
        }
    }
}
