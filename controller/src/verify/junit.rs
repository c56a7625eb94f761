//! The report as JUnit XML, which CI systems read.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::report::{CaseReport, Outcome, Remark, Report};

const LINT: &str = "lint";

/// A suite for each file, a test for each case; where it was asked for, a suite for lint, whose findings are failures where
/// they are denied.
///
/// # Errors
/// Where it cannot be written as XML.
pub fn junit(report: &Report, deny: bool) -> Result<String, quick_junit::SerializeError> {
    let mut junit = quick_junit::Report::new("palisade verify");
    for cases in report.cases.chunk_by(|one, other| one.file == other.file) {
        let Some(first) = cases.first() else { continue };
        let mut suite = TestSuite::new(first.file.as_str());
        suite.add_test_cases(cases.iter().map(test));
        junit.add_test_suite(suite);
    }
    if let Some(lint) = &report.lint {
        let mut suite = TestSuite::new(LINT);
        suite.add_test_cases(lint.iter().map(|remark| finding(remark, deny)));
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn test(case: &CaseReport) -> TestCase {
    let status = match &case.outcome {
        Outcome::Passed { .. } => TestCaseStatus::success(),
        Outcome::Failed { failed, failures, .. } => {
            let text: String = failures.iter().map(super::Failure::text).collect();
            not_passed(NonSuccessKind::Failure, &format!("{failed} connections are not as expected"), &text)
        }
        Outcome::Error { message } => not_passed(NonSuccessKind::Error, message, message),
    };
    let mut test = TestCase::new(case.name.as_str(), status);
    test.set_classname(case.file.as_str());
    test.extra.insert("file".into(), case.file.as_str().into());
    if let Some(line) = case.line {
        test.extra.insert("line".into(), line.to_string().into());
    }
    test
}

fn finding(remark: &Remark, deny: bool) -> TestCase {
    let Remark { policy, code, field, reason } = remark;
    let status = if deny { not_passed(NonSuccessKind::Failure, reason, reason) } else { TestCaseStatus::success() };
    let mut test = TestCase::new(format!("{policy} {field}: {code}"), status);
    test.set_classname(LINT).set_system_out(reason.as_str());
    test
}

fn not_passed(kind: NonSuccessKind, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(text);
    status
}
