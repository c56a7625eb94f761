use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::Runtime;

use super::connect;
use super::credentials::{Account, Credentials, ISSUER};
use super::directory::Directory;
use super::{ApiError, Cluster, Kubeconfig, Proxy, Request, audit, binaries};
use crate::netns::{Daemon, Namespace};

const PORT: u16 = 6443;
const START_LIMIT: Duration = Duration::from_secs(120);

/// kube-apiserver and its etcd. Dropping it ends both, the API server first, and removes their data.
pub struct ApiServer {
    server: Option<Daemon>,
    _etcd: Daemon,
    client: kube::Client,
    runtime: Runtime,
    namespace: Arc<Namespace>,
    address: IpAddr,
    arguments: &'static [&'static str],
    credentials: Credentials,
    directory: Directory,
}

impl ApiServer {
    /// Starts both in `namespace`, and waits until the API is ready. Clients find it at `address`, port 6443: `namespace`
    /// has that address, or a [`proxy`](Self::proxy) is in front.
    pub fn start(namespace: &Namespace, address: IpAddr) -> Result<Self, ApiError> {
        Self::start_with(namespace, address, &[])
    }

    /// [`ApiServer::start`] with more arguments for kube-apiserver.
    pub fn start_with(
        namespace: &Namespace,
        address: IpAddr,
        arguments: &'static [&'static str],
    ) -> Result<Self, ApiError> {
        let directory = Directory::create().map_err(ApiError::io("make a directory for etcd"))?;
        let credentials = Credentials::create(directory.path(), address)?;
        fs::write(directory.path().join("audit.json"), audit::POLICY)
            .map_err(ApiError::io("write the audit policy"))?;
        let namespace = Arc::new(namespace.try_clone()?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(ApiError::io("start a runtime"))?;
        let client = {
            let _inside = runtime.enter();
            let admin = credentials.admin((address, PORT).into());
            let config = runtime.block_on(kube::Config::from_custom_kubeconfig(admin, &Default::default()));
            let config = config.expect("the administrator's kubeconfig is complete");
            connect::client(&config, Arc::clone(&namespace), loopback())?
        };
        let etcd = start_etcd(&namespace, directory.path())?;
        let mut api =
            Self { server: None, _etcd: etcd, client, runtime, namespace, address, arguments, credentials, directory };
        api.start_again()?;
        Ok(api)
    }

    /// Kills the API server. etcd and the data stay.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the API server after it was killed, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<(), ApiError> {
        self.server = Some(start_apiserver(&self.namespace, self.directory.path(), self.address, self.arguments)?);
        self.wait_until_ready()
    }

    /// Stops the API server's process, as a machine that hangs does: connections stay, nobody answers.
    pub fn pause(&self) -> Result<(), ApiError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a paused API server go on.
    pub fn resume(&self) -> Result<(), ApiError> {
        self.signal(Signal::SIGCONT)
    }

    /// The administrator's hands.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster::new(&self.client, self.runtime.handle())
    }

    /// A client of the administrator, for [`ApiServer::block_on`]. It connects into the namespace from any thread.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Runs what uses the [`client`](Self::client).
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The same, beside what else happens, until it ends or this is dropped.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// A way to the API server that can be broken: it listens at the API server's address and port in `front`, which
    /// has that address.
    pub fn proxy(&self, front: &Namespace) -> Result<Proxy, ApiError> {
        let server = (Arc::clone(&self.namespace), loopback());
        Proxy::start(self.runtime.handle(), (front, (self.address, PORT).into()), server)
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        (self.address, PORT).into()
    }

    /// The certificate, in PEM, by which clients know it.
    pub fn authority(&self) -> &str {
        self.credentials.authority()
    }

    /// A token of an existing ServiceAccount that holds for `lifetime` (whole seconds).
    pub fn token(&self, namespace: &str, name: &str, lifetime: Duration) -> Result<String, ApiError> {
        let uid = self.cluster().service_account_uid(namespace, name)?;
        Ok(self.credentials.token(&Account { namespace, name, uid: &uid }, lifetime))
    }

    /// A kubeconfig for the holder of `token`. `name` tells it from other kubeconfigs of this API server.
    pub fn kubeconfig(&self, name: &str, token: &str) -> Result<Kubeconfig, ApiError> {
        self.credentials.kubeconfig(name, self.address(), token)
    }

    /// What ServiceAccounts have asked for so far, in order.
    pub fn requests(&self) -> Result<Vec<Request>, ApiError> {
        let path = self.directory.path().join("audit.log");
        let log = fs::read_to_string(&path).map_err(ApiError::io(format!("read {}", path.display())))?;
        Ok(audit::parse(&log))
    }

    fn signal(&self, signal: Signal) -> Result<(), ApiError> {
        let Some(server) = &self.server else { return Ok(()) };
        let id = i32::try_from(server.id()).expect("process ids are positive and fit");
        kill(Pid::from_raw(id), signal).map_err(io::Error::from).map_err(ApiError::io(format!("send {signal}")))
    }

    fn wait_until_ready(&mut self) -> Result<(), ApiError> {
        let started = Instant::now();
        loop {
            let asked = http::Request::get("/readyz").body(Vec::new()).expect("a plain path");
            let reason = match self.runtime.block_on(self.client.request_text(asked)) {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            let ended = self.server.as_mut().is_none_or(|server| !matches!(server.ended(), Ok(None)));
            if ended || started.elapsed() > START_LIMIT {
                let log = last_lines(&self.directory.path().join("kube-apiserver.log"));
                return Err(ApiError::NotReady { program: "kube-apiserver", reason, log });
            }
            sleep(Duration::from_millis(20));
        }
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, PORT).into()
}

fn start_etcd(namespace: &Namespace, directory: &Path) -> Result<Daemon, ApiError> {
    let program = binaries::etcd()?;
    start(namespace, &program, directory, "etcd", |command| {
        command.arg("--data-dir").arg(directory.join("etcd")).args([
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--quota-backend-bytes=8589934592",
        ]);
    })
}

fn start_apiserver(
    namespace: &Namespace,
    directory: &Path,
    address: IpAddr,
    arguments: &[&str],
) -> Result<Daemon, ApiError> {
    let program = binaries::kube_apiserver()?;
    let file = |flag: &str, name: &str| format!("--{flag}={}", directory.join(name).display());
    start(namespace, &program, directory, "kube-apiserver", |command| {
        command.args([
            file("cert-dir", "certificates"),
            file("tls-cert-file", "server.crt"),
            file("tls-private-key-file", "server.key"),
            file("service-account-key-file", "accounts.pub"),
            file("service-account-signing-key-file", "accounts.key"),
            file("token-auth-file", "tokens.csv"),
            file("audit-policy-file", "audit.json"),
            file("audit-log-path", "audit.log"),
            format!("--service-account-issuer={ISSUER}"),
            format!("--advertise-address={address}"),
            format!("--secure-port={PORT}"),
        ]);
        command.args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
            "--max-requests-inflight=0",
            "--max-mutating-requests-inflight=0",
            "--profiling=false",
        ]);
        command.args(arguments);
    })
}

fn start(
    namespace: &Namespace,
    program: &Path,
    directory: &Path,
    name: &str,
    configure: impl FnOnce(&mut Command) + Send,
) -> Result<Daemon, ApiError> {
    let path = directory.join(format!("{name}.log"));
    let log = File::create(&path).map_err(ApiError::io(format!("create {}", path.display())))?;
    let errors = log.try_clone().map_err(ApiError::io("share a log file"))?;
    let daemon = Daemon::start(namespace, program, |command| {
        configure(command);
        command.stdout(log).stderr(errors);
    })?;
    Ok(daemon)
}

pub(super) fn last_lines(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
