//! One chromium without a screen, and the driver that it obeys.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use palisade_integration::netns::{Daemon, Namespace};
use palisade_integration::patience::eventually;
use tempfile::TempDir;
use thirtyfour::error::WebDriverResult;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::runtime::{Builder, Runtime};

use crate::client::Plain;
use crate::scenes::{Made, Scene};

/// What makes chromium run as root, without a screen, and without asking its makers anything.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--window-size=1400,1000",
];

/// A running browser. Dropped, it ends, with all that it wrote.
pub(crate) struct Browser {
    runtime: Runtime,
    /// Taken when it ends.
    driver: Option<WebDriver>,
    _chromedriver: Daemon,
    folder: TempDir,
    made: Mutex<BTreeMap<Scene, Made>>,
}

impl Browser {
    /// Starts one in `namespace`, which the calling thread is in.
    pub(crate) fn start(namespace: &Namespace) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let chromedriver = program("CHROMEDRIVER", "chromedriver")?;
        let chromium = program("CHROMIUM", "chromium")?;
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("chromedriver.log");
        let output = File::create(&log)?;
        let daemon = Daemon::start(namespace, &chromedriver, |command| {
            command.arg("--port=0").stdout(output).env("HOME", folder.path()).env("TMPDIR", folder.path());
        })?;
        let port = port(&log);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let driver = runtime.block_on(async {
            let capabilities = capabilities(&chromium, folder.path())?;
            WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities)
                .client(Plain::default())
                .connect()
                .await
        })?;
        Ok(Self { runtime, driver: Some(driver), _chromedriver: daemon, folder, made: Mutex::default() })
    }

    /// Waits for what is asked of the browser.
    pub(crate) fn wait<T>(&self, asked: impl Future<Output = WebDriverResult<T>>) -> T {
        self.runtime.block_on(asked).unwrap_or_else(|error| panic!("the browser: {error}"))
    }

    /// The page of a scene, made when it is asked for first.
    pub(crate) fn made(&self, scene: Scene) -> Made {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(scene).or_insert_with(|| scene.make(self.folder())).clone()
    }

    pub(crate) fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it runs until it is dropped")
    }

    /// Where tests may write: it is gone with the browser.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            let _ = self.runtime.block_on(driver.quit());
        }
    }
}

fn capabilities(chromium: &Path, folder: &Path) -> WebDriverResult<ChromeCapabilities> {
    let mut capabilities = ChromeCapabilities::new();
    capabilities.set_binary(&chromium.to_string_lossy())?;
    ARGUMENTS.iter().try_for_each(|argument| capabilities.add_arg(argument))?;
    capabilities.add_arg(&format!("--user-data-dir={}", folder.join("profile").display()))?;
    for log in ["performance", "browser"] {
        capabilities.set_logging_prefs(log, LoggingPrefsLogLevel::All)?;
    }
    Ok(capabilities)
}

/// The port that a driver chose, as it says in its log.
fn port(log: &Path) -> u16 {
    let said = || {
        let text = fs::read_to_string(log).ok()?;
        let (_, port) = text.split_once("started successfully on port ")?;
        let (port, _) = port.split_once('.')?;
        port.trim().parse().ok()
    };
    eventually(Duration::from_millis(20), said, || {
        format!("chromedriver names no port: {}", fs::read_to_string(log).unwrap_or_default())
    })
}

fn program(variable: &str, name: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("there is no {name}: run integration/setup-browser.sh, or name it in {variable}"))
}
