//! What the plugin does, called as the specification says.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::{Add, CniError, Code, Config, ENFORCED, Environment, OnFailure, Request, ask, result};

/// The versions of the specification that are spoken.
pub const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// What is said where no version was.
const LATEST: &str = "1.1.0";
/// How long what is no ADD waits for the agent.
const SHORT: Duration = Duration::from_secs(2);

/// Does what `environment` says with what `input` says; prints the result, or the error. Whether it succeeded.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(environment: &Environment, mut input: impl Read, mut output: impl Write) -> io::Result<bool> {
    let mut text = String::new();
    let config = match input.read_to_string(&mut text) {
        Ok(_) => Config::parse(&text),
        Err(error) => Err(CniError::new(Code::IO, format!("the configuration cannot be read: {error}"))),
    };
    let version = config.as_ref().map_or(LATEST, |config| &config.cni_version).to_owned();
    match config.and_then(|config| obey(environment, &config)) {
        Ok(result) => output.write_all(result.as_bytes()).map(|()| true),
        Err(error) => {
            let known = if VERSIONS.contains(&&*version) { &version } else { LATEST };
            let failure = Failure { cni_version: known, error: &error };
            writeln!(output, "{}", serde_json::to_string(&failure)?).map(|()| false)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    cni_version: &'a str,
    #[serde(flatten)]
    error: &'a CniError,
}

/// What is to be printed.
fn obey(environment: &Environment, config: &Config) -> Result<String, CniError> {
    if environment.command == "VERSION" {
        return Ok(json!({"cniVersion": config.cni_version, "supportedVersions": VERSIONS}).to_string());
    }
    if !VERSIONS.contains(&&*config.cni_version) {
        let msg = format!("version {} is not known, but {}", config.cni_version, VERSIONS.join(", "));
        return Err(CniError::new(Code::INCOMPATIBLE_VERSION, msg));
    }
    match &*environment.command {
        "ADD" => add(environment, config),
        "DEL" => del(environment, config).map(|()| String::new()),
        "CHECK" => check(environment, config).map(|()| String::new()),
        "STATUS" => status(config).map(|()| String::new()),
        "GC" => gc(config).map(|()| String::new()),
        other => Err(CniError::new(Code::INVALID_ENVIRONMENT, format!("CNI_COMMAND `{other}` is not known"))),
    }
}

/// What is no pod of Kubernetes' is passed on.
fn add(environment: &Environment, config: &Config) -> Result<String, CniError> {
    let previous = previous(config)?;
    let Some(add) = request(environment, config, previous)? else { return Ok(previous.to_owned()) };
    let answer = ask(&config.socket, &Request::Add(Box::new(add)), config.patience());
    match (answer.map_err(|error| away(config, &error)).and_then(crate::Answer::into_result), config.on_failure) {
        (Ok(()), _) => Ok(previous.to_owned()),
        (Err(error), OnFailure::Allow) => {
            // The runtime logs it.
            eprintln!("{}: the pod starts although it is not enforced: {error}", crate::PLUGIN);
            Ok(previous.to_owned())
        }
        (Err(error), OnFailure::Refuse) => Err(error),
    }
}

fn previous(config: &Config) -> Result<&str, CniError> {
    let missing = || {
        let msg = "there is no prevResult: this plugin comes after one that gives addresses";
        CniError::new(Code::INVALID_CONFIG, msg)
    };
    Ok(config.prev_result.as_ref().ok_or_else(missing)?.get())
}

fn request(environment: &Environment, config: &Config, previous: &str) -> Result<Option<Add>, CniError> {
    let id = environment.attachment()?;
    let [namespace, name, uid] = ["NAMESPACE", "NAME", "UID"].map(|what| {
        let value = environment.argument(&format!("K8S_POD_{what}"));
        value.map(str::to_owned)
    });
    let (Some(namespace), Some(name)) = (namespace, name) else { return Ok(None) };
    let (addresses, links) = result::read(previous)?;
    let (network, netns) = (config.name.clone(), environment.netns.clone());
    Ok(Some(Add { id, network, namespace, name, uid, netns, addresses, links, wait: 0, asked: None }))
}

fn away(config: &Config, error: &io::Error) -> CniError {
    let socket = config.socket.display();
    CniError::try_again(
        format!("palisade's agent does not answer at {socket}: {error}"),
        "no pod starts on this node before its agent enforces policies; see `kubectl -n palisade-system get pods`",
    )
}

/// Where the agent is away it finds out later: what it would read when it comes back goes with the sandbox.
fn del(environment: &Environment, config: &Config) -> Result<(), CniError> {
    let id = environment.attachment()?;
    let file = config.sandboxes.join(id.to_string());
    let told = ask(&config.socket, &Request::Del { id }, Duration::ZERO);
    if let Err(error) = told.map_err(|error| away(config, &error)).and_then(crate::Answer::into_result) {
        eprintln!("{}: the agent will hear later that a sandbox is gone: {error}", crate::PLUGIN);
    }
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("{}: {} cannot be removed: {error}", crate::PLUGIN, file.display());
        }
        Ok(()) | Err(_) => {}
    }
    Ok(())
}

fn check(environment: &Environment, config: &Config) -> Result<(), CniError> {
    let previous = previous(config)?;
    let Some(Add { id, addresses, .. }) = request(environment, config, previous)? else { return Ok(()) };
    let answer = ask(&config.socket, &Request::Check { id, addresses }, SHORT);
    answer.map_err(|error| away(config, &error))?.into_result()
}

/// A node whose network is not ready loses its pods after a while, all of which are enforced, agent or not: so only where
/// nothing has been enforced since the node started is anything wrong.
fn status(config: &Config) -> Result<(), CniError> {
    if config.on_failure == OnFailure::Allow || config.sandboxes.join(ENFORCED).exists() {
        return Ok(());
    }
    let answer = ask(&config.socket, &Request::Status, Duration::ZERO);
    let failed = |error: CniError| CniError { code: Code::NOT_AVAILABLE, ..error };
    answer.map_err(|error| failed(away(config, &error)))?.into_result().map_err(failed)
}

fn gc(config: &Config) -> Result<(), CniError> {
    let Some(valid) = config.valid_attachments.as_ref().or(config.attachments.as_ref()) else { return Ok(()) };
    let valid: BTreeSet<_> = valid.iter().cloned().collect();
    let request = Request::Gc { network: config.name.clone(), valid };
    ask(&config.socket, &request, SHORT).map_err(|error| away(config, &error))?.into_result()
}
