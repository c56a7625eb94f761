//! From text to documents.

use std::panic;
use std::thread;

use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use super::node::Node;

/// Text that is no YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

/// How deep values may nest; the definitions of large custom resources reach about half of it.
const DEPTH: usize = 128;

/// Far more than a value of that depth needs: an unoptimised build takes 50 KiB a level.
const STACK: usize = 32 << 20;

/// The documents of a YAML or JSON text (which is YAML too), those without content left out. After a
/// document with an error the next one is tried, unless the text stops being YAML there.
pub(super) fn documents(text: &str) -> Vec<Result<Node<'static>, SyntaxError>> {
    thread::scope(|scope| match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || read(text)) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)),
        Err(error) => {
            vec![Err(SyntaxError { line: None, message: format!("no thread can be started to read it: {error}") })]
        }
    })
}

fn read(text: &str) -> Vec<Result<Node<'static>, SyntaxError>> {
    let mut bytes = text.as_bytes();
    serde_saphyr::read_with_options(&mut bytes, options()).map(|document| document.map_err(SyntaxError::from)).collect()
}

impl From<serde_saphyr::Error> for SyntaxError {
    fn from(error: serde_saphyr::Error) -> Self {
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        let message = UserMessageFormatter.format_message(error.without_snippet()).escape_debug().to_string();
        Self { line, message }
    }
}

/// Room for a dump of a large cluster in one file; what aliases may multiply keeps its small default limits.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
            max_depth: DEPTH,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
    }
}
