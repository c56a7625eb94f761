use std::collections::BTreeSet;

use serde::Deserialize;

/// Only what ServiceAccounts do is written.
pub(super) const POLICY: &str = r#"{
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]
}"#;

/// What a ServiceAccount asked the API server for, by the terms of RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The API group; empty for the core group, and for what is no resource.
    pub group: String,
    /// Such as `pods`, `pods/status`; a path such as `/api` for what is no resource.
    pub resource: String,
    /// Such as `list`, `watch`.
    pub verb: String,
    /// Whether it is a watch that begins with a list.
    pub initial_events: bool,
    /// Whether it is about some objects only, which a field selector names.
    pub selects: bool,
    /// The status code of the answer.
    pub code: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    id: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    resource: String,
    subresource: String,
    api_group: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// One [`Request`] for each request in the log, however many stages of it there are. A last line that is still being
/// written is left out.
pub(super) fn parse(log: &str) -> Vec<Request> {
    let mut seen = BTreeSet::new();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events.filter(|event| seen.insert(event.id.clone())).map(Request::from).collect()
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        let initial_events = event.uri.contains("sendInitialEvents=true");
        let selects = event.uri.contains("fieldSelector=");
        let Object { resource, subresource, api_group } = event.object_ref;
        let resource = match (resource.as_str(), subresource.as_str()) {
            ("", _) => event.uri,
            (_, "") => resource,
            _ => format!("{resource}/{subresource}"),
        };
        let (user, code) = (event.user.username, event.response_status.code);
        Self { user, group: api_group, resource, verb: event.verb, initial_events, selects, code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: &str = r#"{"auditID":"1","requestURI":"/api/v1/pods?watch=1","verb":"watch","stage":"STAGE",
        "user":{"username":"system:serviceaccount:a:b"},"objectRef":{"resource":"pods","apiVersion":"v1"},
        "responseStatus":{"code":200}}"#;

    #[test]
    fn stages_of_one_request_are_one_request() {
        let started = WATCH.replace('\n', "");
        let log = format!("{started}\n{started}\n{}\n{{\"auditID\":\"3", started.replace("ID\":\"1", "ID\":\"2"));
        let requests = parse(&log);
        assert_eq!(requests.len(), 2);
        let Request { user, group, resource, verb, initial_events, selects, code } = &requests[0];
        let shown = (user.as_str(), group.as_str(), resource.as_str(), verb.as_str(), *initial_events, *selects, *code);
        assert_eq!(shown, ("system:serviceaccount:a:b", "", "pods", "watch", false, false, 200));
    }
}
