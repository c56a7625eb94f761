//! Logs: one line an event, fields rather than sentences, on stderr.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::cli::{LogArgs, LogFormat};

/// Changes what is logged while the program runs.
#[derive(Clone, Debug)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Logs what `filter` says from now on.
    ///
    /// # Errors
    /// Where the filter does not parse.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let parsed = parse(filter).map_err(|error| format!("{error:#}"))?;
        self.0.reload(parsed).map_err(|error| error.to_string())?;
        tracing::info!(filter, "log filter changed");
        Ok(())
    }
}

/// Starts logging.
///
/// # Errors
/// Where the filter does not parse.
pub fn init(args: &LogArgs) -> anyhow::Result<LogFilter> {
    let filter = parse(&args.log_level).context("--log-level")?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(LogFilter(handle))
}

fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is neither a level nor a tracing filter"))
}
