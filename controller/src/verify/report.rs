//! What became of expectations, for people and programs.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use palisade_model::lint::Finding;
use palisade_model::{Allowed, Decision, Denied, Traffic, Why};
use serde::Serialize;

use super::expectations::Case;
use super::judge::{Judge, Party};

/// What became of all cases: the JSON form.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many cases passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many could not be asked.
    pub errors: usize,
    /// Each of them, in the order of the files.
    pub cases: Vec<CaseReport>,
    /// What is legal in policies and surely not meant, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<Vec<Remark>>,
}

/// Something of a policy that is surely not meant.
#[derive(Clone, Debug, Serialize)]
pub struct Remark {
    /// The policy.
    pub policy: String,
    /// What it is: a stable name, by which it can be ignored.
    pub code: &'static str,
    /// The field of the policy.
    pub field: String,
    /// What is so, and what may be meant.
    pub reason: String,
}

impl From<Finding> for Remark {
    fn from(finding: Finding) -> Self {
        let Finding { policy, code, field, reason } = finding;
        Self { policy: policy.to_string(), code: code.name(), field, reason }
    }
}

/// What became of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// What it is called.
    pub name: String,
    /// The file that it is in.
    pub file: String,
    /// The line that it begins on, from 1.
    pub line: Option<u64>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum Outcome {
    /// All is as expected.
    Passed {
        /// How many connections were asked about, those that policies cannot tell apart once.
        asked: usize,
    },
    /// Something is not as expected.
    Failed {
        /// How many connections were asked about.
        asked: usize,
        /// How many of them are not as expected.
        failed: usize,
        /// The first of these.
        failures: Vec<Failure>,
    },
    /// It could not be asked.
    Error {
        /// Why, and what may have been meant.
        message: String,
    },
}

/// A connection that is not as expected.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Who opens it: a pod with its address, or an address.
    pub from: String,
    /// How many pods are like that one, it included.
    pub from_alike: usize,
    /// To whom.
    pub to: String,
    /// How many pods are like that one, it included.
    pub to_alike: usize,
    /// What it carries: `TCP 5432`.
    pub traffic: String,
    /// Whether it is allowed, which is what was not expected.
    pub allowed: bool,
    /// What each end says that decides: both where it is allowed, otherwise those that deny.
    pub reasons: Vec<Reason>,
}

/// What one end of a connection says.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// `egress` or `ingress`.
    pub direction: String,
    /// Whether it allows the connection.
    pub allowed: bool,
    /// The rule that decided, as `shop/db spec.ingress[0]`, where one did.
    pub rule: Option<String>,
    /// The policies that isolate the pod in this direction.
    pub policies: Vec<String>,
    /// What decided, or which rule came nearest and what it lacks, in a sentence.
    pub text: String,
}

impl Report {
    /// The sums.
    pub fn new(cases: Vec<CaseReport>, lint: Option<Vec<Finding>>) -> Self {
        let count = |is_it: fn(&Outcome) -> bool| cases.iter().filter(|case| is_it(&case.outcome)).count();
        Self {
            passed: count(|outcome| matches!(outcome, Outcome::Passed { .. })),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            errors: count(|outcome| matches!(outcome, Outcome::Error { .. })),
            cases,
            lint: lint.map(|findings| findings.into_iter().map(Remark::from).collect()),
        }
    }

    /// For people, in colours.
    pub fn text(&self) -> String {
        let mut text: String = self.cases.iter().map(CaseReport::text).collect();
        text.extend(self.lint.iter().flatten().map(Remark::text));
        let total = self.cases.len();
        let mut parts = vec![format!("{} passed", self.passed)];
        parts.extend((self.failed > 0).then(|| format!("{} failed", self.failed)));
        parts.extend((self.errors > 0).then(|| format!("{} could not be asked", self.errors)));
        let cases = if total == 1 { "case" } else { "cases" };
        if total > 0 {
            let _ = writeln!(text, "{total} {cases}: {}", parts.join(", "));
        }
        if let Some(lint) = &self.lint {
            let _ =
                writeln!(text, "lint: {}", if lint.is_empty() { "nothing".to_owned() } else { findings(lint.len()) });
        }
        text
    }
}

impl CaseReport {
    pub(super) fn new(case: &Case, outcome: Outcome) -> Self {
        let (file, line) = (case.place.file.display().to_string(), case.place.line);
        Self { name: case.name.clone(), file, line, outcome }
    }

    /// `deploy/verify/shop.yaml:12`.
    pub(super) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }

    fn text(&self) -> String {
        let (name, place) = (&self.name, self.place());
        match &self.outcome {
            Outcome::Passed { .. } => format!("{} {name}\n", coloured("✓", AnsiColor::Green)),
            Outcome::Error { message } => {
                format!("{} {name} ({place})\n    error: {message}\n", coloured("✗", AnsiColor::Red))
            }
            Outcome::Failed { failed, failures, .. } => {
                let mut text = format!("{} {name} ({place})\n", coloured("✗", AnsiColor::Red));
                failures.iter().for_each(|failure| text += &failure.text());
                let more = failed - failures.len();
                if more > 0 {
                    let _ = writeln!(text, "    and {more} more");
                }
                text
            }
        }
    }
}

fn findings(count: usize) -> String {
    format!("{count} {}", if count == 1 { "finding" } else { "findings" })
}

impl Remark {
    fn text(&self) -> String {
        let Self { policy, code, field, reason } = self;
        format!("{} {policy} {field}: {reason} [{code}]\n", coloured("!", AnsiColor::Yellow))
    }
}

fn coloured(text: &str, colour: AnsiColor) -> String {
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

impl Failure {
    /// `counts` says how many pods are like each end.
    pub(super) fn new(
        judge: &mut Judge<'_>,
        from: Party<'_>,
        to: Party<'_>,
        traffic: Traffic,
        allowed: bool,
        counts: (usize, usize),
    ) -> Self {
        let reasons = judge.why(from, to, traffic).into_iter().map(Reason::from);
        Self {
            from: from.to_string(),
            from_alike: counts.0,
            to: to.to_string(),
            to_alike: counts.1,
            traffic: traffic.to_string(),
            allowed,
            reasons: reasons.filter(|reason| allowed || !reason.allowed).collect(),
        }
    }

    /// A line, and one for each reason.
    pub(super) fn text(&self) -> String {
        let [is, expected] = if self.allowed { ["allowed", "denied"] } else { ["denied", "allowed"] };
        let alike = |count: usize| if count > 1 { format!(" and {} alike", count - 1) } else { String::new() };
        let (from, to) = (alike(self.from_alike), alike(self.to_alike));
        let Self { from: source, to: destination, traffic, .. } = self;
        let mut text = format!("    {source}{from} -> {destination}{to} {traffic} is {is}, expected {expected}\n");
        for reason in &self.reasons {
            let isolated = match &*reason.policies {
                [] => String::new(),
                _ if reason.allowed => String::new(),
                policies => format!(" (isolated by {})", crate::text::some_of(policies, 3, 80, ", ")),
            };
            let _ = writeln!(text, "      {}: {}{isolated}", reason.direction, reason.text);
        }
        text
    }
}

impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        let direction = why.direction;
        let rule = match &why.decision {
            Decision::Allowed(Allowed::Rule(rule)) => Some(format!("{} spec.{direction}[{}]", rule.policy, rule.index)),
            Decision::Allowed(Allowed::ClusterRule(rule)) | Decision::Denied(Denied::ClusterRule(rule)) => {
                Some(format!("{} spec.{direction}[{}]", rule.policy, rule.index))
            }
            Decision::Allowed(_) | Decision::Denied(_) => None,
        };
        Self {
            direction: direction.to_string(),
            allowed: why.decision.is_allowed(),
            rule,
            policies: why.isolating.iter().map(ToString::to_string).collect(),
            text: why.to_string(),
        }
    }
}
