//! An API server in this process that answers from a script.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Channel};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::{BoxError, service_fn};

#[derive(Clone)]
pub(super) enum Answer {
    Status(u16),
    Json(Value),
    Stream(Vec<Step>),
    /// The connection cannot be made.
    Refused,
    /// Nothing ever comes.
    Nothing,
}

#[derive(Clone)]
pub(super) enum Step {
    Line(Value),
    Text(&'static str),
    Pause(Duration),
    /// The connection breaks. A script that just ends is a watch that ends in order.
    Cut,
    /// The connection stays, and nothing more comes.
    Hold,
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) query: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Default)]
pub(super) struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<String, VecDeque<Answer>>,
    otherwise: HashMap<String, Answer>,
    asked: HashMap<String, Vec<Asked>>,
}

impl Api {
    /// Answers the requests for a resource (`pods`; `pods of a node` where only those are asked for) in this order.
    pub(super) fn script(&self, resource: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        self.0.lock().unwrap().answers.entry(resource.to_owned()).or_default().extend(answers);
        self
    }

    /// Answers any further ones. Without it there are no objects of the resource.
    pub(super) fn otherwise(&self, resource: &str, answer: Answer) -> &Self {
        self.0.lock().unwrap().otherwise.insert(resource.to_owned(), answer);
        self
    }

    /// What was asked of a resource so far.
    pub(super) fn asked(&self, resource: &str) -> Vec<Asked> {
        self.0.lock().unwrap().asked.get(resource).cloned().unwrap_or_default()
    }

    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        Client::new(service_fn(move |request| api.clone().answer(request)), "default")
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Channel<Bytes, std::io::Error>>, BoxError> {
        let (head, body) = request.into_parts();
        let mut resource = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        let query = query(head.uri.query().unwrap_or_default());
        if query.get("fieldSelector").is_some_and(|fields| fields.starts_with("spec.nodeName")) {
            resource.push_str(" of a node");
        }
        let body = body.collect().await?.to_bytes().to_vec();
        let answer = self.next(&resource, Asked { query, body });
        match answer {
            Answer::Refused => Err("connection refused".into()),
            Answer::Nothing => std::future::pending().await,
            Answer::Json(value) => respond(200, vec![Step::Line(value)]),
            Answer::Stream(steps) => respond(200, steps),
            Answer::Status(code) => respond(code, vec![Step::Line(status(code))]),
        }
    }

    fn next(&self, resource: &str, asked: Asked) -> Answer {
        let mut state = self.0.lock().unwrap();
        state.asked.entry(resource.to_owned()).or_default().push(asked);
        let next = state.answers.get_mut(resource).and_then(VecDeque::pop_front);
        let is_of_a_node = resource.ends_with(" of a node");
        let empty = || Answer::Stream(vec![Step::Line(complete("1")), Step::Hold]);
        let otherwise = || if is_of_a_node { page(&[], "1", "") } else { empty() };
        next.or_else(|| state.otherwise.get(resource).cloned()).unwrap_or_else(otherwise)
    }
}

pub(super) fn event(kind: &str, object: &Value) -> Step {
    Step::Line(json!({"type": kind, "object": object}))
}

/// The end of a streamed list.
pub(super) fn complete(version: &str) -> Value {
    let annotations = json!({"k8s.io/initial-events-end": "true"});
    let metadata = json!({"resourceVersion": version, "annotations": annotations});
    json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}})
}

pub(super) fn page(objects: &[Value], version: &str, token: &str) -> Answer {
    let metadata = json!({"resourceVersion": version, "continue": token});
    Answer::Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": objects}))
}

pub(super) fn status(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "R", "message": "m"})
}

fn respond(code: u16, steps: Vec<Step>) -> Result<Response<Channel<Bytes, std::io::Error>>, BoxError> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for step in steps {
            let line = match step {
                Step::Line(value) => format!("{value}\n"),
                Step::Text(text) => text.to_owned(),
                Step::Pause(pause) => {
                    sleep(pause).await;
                    continue;
                }
                Step::Cut => return sender.abort(std::io::Error::other("connection reset")),
                Step::Hold => std::future::pending().await,
            };
            if sender.send_data(Bytes::from(line)).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::builder().status(code).body(body)?)
}

fn query(text: &str) -> HashMap<String, String> {
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
