//! `palisade verify`: expectations as tests of policies.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use palisade_model::reference::Cluster;

use super::{Exit, linted, sources};
use crate::cli::{LintMode, VerifyArgs, VerifyOutput};
use crate::manifests::{Place, ReadError, ReadErrors};
use crate::progress::Progress;
use crate::verify::{Case, End, Report, Situation, junit, parse, verify as ask};

/// An expectation does not hold.
const FAILED: u8 = 1;
/// Something could not be asked.
const UNCLEAR: u8 = 2;

pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    match run(args) {
        Err(error) if error.downcast_ref::<Exit>().is_none() => {
            eprintln!("error: {error:#}");
            Err(Exit(UNCLEAR).into())
        }
        done => done,
    }
}

fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let cases = read(&args.files)?;
    let uses_services = cases.iter().flat_map(|case| &case.to).any(|end| matches!(end, End::Service(_)));
    let progress = Progress::start("reading the objects");
    let (changes, besides) = sources::snapshot_with_besides(&args.source, uses_services || args.lint.lint.is_some())?;
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    let findings = args.lint.lint.map(|_| linted::findings(&cluster, &besides, &args.lint));
    let situation = Situation::new(cluster, besides, args.audited);
    progress.of("asking", cases.len());
    let reports = ask(&situation, &cases, || progress.done());
    drop(progress);
    let report = Report::new(reports, findings);
    let is_denied = args.lint.lint == Some(LintMode::Deny);
    print(&report, args.output, is_denied)?;
    let is_refused = is_denied && report.lint.as_ref().is_some_and(|findings| !findings.is_empty());
    match report.errors {
        0 if report.failed == 0 && !is_refused => Ok(()),
        0 => bail!(Exit(FAILED)),
        _ => bail!(Exit(UNCLEAR)),
    }
}

fn print(report: &Report, output: VerifyOutput, deny: bool) -> anyhow::Result<()> {
    match output {
        VerifyOutput::Text => write!(anstream::stdout(), "{}", report.text())?,
        VerifyOutput::Json => writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(report)?)?,
        VerifyOutput::Junit => writeln!(std::io::stdout(), "{}", junit(report, deny)?)?,
    }
    Ok(())
}

/// The cases of all files.
fn read(files: &[PathBuf]) -> Result<Vec<Case>, ReadErrors> {
    let (mut cases, mut errors) = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| {
            let place = Place { file: file.clone(), document: None, line: None };
            let message = format!("cannot be read: {error}: give a file of expectations");
            ReadErrors(vec![ReadError { place, object: None, field: None, message }])
        });
        match text.and_then(|text| parse(file, &text)) {
            Ok(of_file) => cases.extend(of_file),
            Err(ReadErrors(of_file)) => errors.extend(of_file),
        }
    }
    if errors.is_empty() { Ok(cases) } else { Err(ReadErrors(errors)) }
}
