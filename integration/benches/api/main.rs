//! How long after the API's answer to a write do packets obey it? Opt-in:
//!
//! ```text
//! cargo build --release -p palisade
//! cargo bench -p palisade-integration --bench api                      # 100, 1,000 and 5,000 pods and policies
//! cargo bench -p palisade-integration --bench api -- 100/1000          # 100 pods, 1,000 policies
//! cargo bench -p palisade-integration --bench api -- memory 150000/10000
//! cargo bench -p palisade-integration --bench api -- tenants 5000/100  # policies edited beside fifty hostile tenants
//! ```
//!
//! One agent, a real kube-apiserver, 100 local pods, 10 changes a second, for each kind of event. The floor is a bare
//! watcher in this process, which sees the same writes: the time until its event has arrived; what is above it is the
//! agent's, and what that waits for. Datagrams that each begin a connection of their own are sent all the time; the verdict
//! changes with the first that comes out as it should. Both times are counted from the moment at which the API server has
//! answered the write.

mod events;
mod fill;
mod floor;
mod hostile;
mod report;

use std::error::Error;
use std::process::ExitCode;

use fill::Size;
use hostile::Tenants;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SIZES: [Size; 5] = [
    Size { pods: 100, policies: 100 },
    Size { pods: 1_000, policies: 1_000 },
    Size { pods: 5_000, policies: 5_000 },
    Size { pods: 5_000, policies: 100 },
    Size { pods: 100, policies: 5_000 },
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let mut is_asked = |what| {
        let is_asked = arguments.first().is_some_and(|first| first == what);
        if is_asked {
            arguments.remove(0);
        }
        is_asked
    };
    let (memory, beside_tenants) = (is_asked("memory"), is_asked("tenants"));
    let asked = arguments.iter().map(|argument| argument.parse()).collect::<Result<Vec<Size>, _>>()?;
    let sizes = if asked.is_empty() { SIZES.to_vec() } else { asked };
    report::header(memory);
    for size in sizes {
        if beside_tenants {
            measure_beside_tenants(size)?;
            continue;
        }
        let bench = fill::fill(size, |_| Ok(()))?;
        if !memory {
            for result in events::measure(&bench, &events::TOGGLES)? {
                report::line(size, &result);
            }
            report::burst(size, &events::burst(&bench)?);
        }
        report::memory(size, &bench)?;
    }
    Ok(())
}

/// Edits of policies while others write what is as bad as can be.
fn measure_beside_tenants(size: Size) -> Outcome {
    let tenants = Tenants::of(size);
    let bench = fill::fill(size, |api| tenants.write(api))?;
    let rested = bench.rest()?;
    let (results, written) = tenants.write_while(&bench.api, || events::measure(&bench, &events::EDITS))?;
    results.iter().for_each(|result| report::line(size, result));
    report::memory(size, &bench)?;
    let Size { pods, policies } = size;
    println!(
        "{pods:>6} {policies:>8}  all was in force {rested:.1?} after the start; then others wrote {written} times"
    );
    Ok(())
}
