//! How requests get to the API server: over TCP, TLS where it has that, and a proxy where there is one.

use std::error::Error;
use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder};

use super::client::ConnectError;
use super::failure::chain;
use super::proxy::Intercept;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(40);

/// As kube does it, with probes for dead connections and without its log lines and retries, which are ours to write.
///
/// # Errors
/// [`ConnectError::Transport`], or [`ConnectError::Proxy`] where that is of a kind that is not known.
pub(super) fn connect(config: Config, proxy: Option<Intercept>) -> Result<Client, ConnectError> {
    let server = config.cluster_url.to_string();
    let unprepared = |error: kube::Error| ConnectError::Transport { server: server.clone(), reason: chain(&error) };
    let tcp = tcp();
    let Some(proxy) = proxy else { return over(config, tcp).map_err(unprepared) };
    let uri = proxy.uri().clone();
    match uri.scheme_str() {
        Some("http") => over(config, with_auth(Tunnel::new(uri, tcp), &proxy)).map_err(unprepared),
        Some("https") => {
            let tls = config.rustls_https_connector_with_connector(tcp).map_err(unprepared)?;
            over(config, with_auth(Tunnel::new(uri, tls), &proxy)).map_err(unprepared)
        }
        // With `h` the proxy looks up names.
        Some(scheme @ ("socks5" | "socks5h")) => {
            let socks = SocksV5::new(uri.clone(), tcp).local_dns(scheme == "socks5");
            let socks = match proxy.raw_auth() {
                Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
                None => socks,
            };
            over(config, socks).map_err(unprepared)
        }
        _ => Err(ConnectError::Proxy(uri.to_string())),
    }
}

fn with_auth<C>(tunnel: Tunnel<C>, proxy: &Intercept) -> Tunnel<C> {
    match proxy.basic_auth() {
        Some(auth) => tunnel.with_auth(auth.clone()),
        None => tunnel,
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_LIMIT));
    tcp.set_keepalive(Some(KEEPALIVE_AFTER));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT));
    tcp
}

/// TLS and credentials, over whatever connects.
fn over<C>(config: Config, connector: C) -> Result<Client, kube::Error>
where
    C: Service<http::Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Error + Send + Sync + 'static,
{
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let transport = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}
