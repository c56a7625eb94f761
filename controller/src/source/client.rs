//! The connection to the API server.

use std::path::Path;
use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tower::{BoxError, ServiceBuilder};

/// Why there is no way to the API server. Nothing has been sent yet: a server that does not answer is no such error.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {path}: {source}: check the file, and --context if you gave it")]
    Kubeconfig {
        /// The file, or where it was looked for.
        path: String,
        /// What is wrong.
        source: KubeconfigError,
    },
    /// The pod's own credentials cannot be used.
    #[error(
        "cannot use the pod's service account: {0}: set automountServiceAccountToken, or give --kubeconfig outside of a cluster"
    )]
    InCluster(#[source] InClusterError),
    /// Credentials or certificates that are there, but wrong.
    #[error("cannot prepare the connection to {server}: {source}: check certificates and credentials")]
    Transport {
        /// The API server.
        server: String,
        /// What is wrong.
        source: kube::Error,
    },
    /// The kubeconfig names a proxy.
    #[error("the kubeconfig wants the proxy {0}: proxies are not supported, remove proxy-url and HTTPS_PROXY")]
    Proxy(String),
}

/// A client with the credentials of `kubeconfig` (or of the default one, where only a `context` is given); without
/// either with those of the pod it runs in, or else of the default kubeconfig (`KUBECONFIG`, `~/.kube/config`).
///
/// Tokens and the cluster's certificate are read again when they change. Dead connections are noticed within a minute.
///
/// # Errors
/// [`ConnectError`].
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ConnectError> {
    let config = config(kubeconfig, context).await?;
    if let Some(proxy) = &config.proxy_url {
        return Err(ConnectError::Proxy(proxy.to_string()));
    }
    let server = config.cluster_url.to_string();
    connect(config).map_err(|source| ConnectError::Transport { server, source })
}

async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConnectError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    if let Some(path) = kubeconfig {
        let error = |source| ConnectError::Kubeconfig { path: path.display().to_string(), source };
        let kubeconfig = Kubeconfig::read_from(path).map_err(error)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(error);
    }
    if context.is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Config::incluster().map_err(ConnectError::InCluster);
    }
    let path = || std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
    Config::from_kubeconfig(&options).await.map_err(|source| ConnectError::Kubeconfig { path: path(), source })
}

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(40);

/// As kube does it, with probes for dead connections and without its log lines and retries, which are ours to write.
fn connect(config: Config) -> Result<Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_LIMIT));
    tcp.set_keepalive(Some(KEEPALIVE_AFTER));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT));
    let transport = HttpClient::builder(TokioExecutor::new()).build(config.rustls_https_connector_with_connector(tcp)?);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(transport);
    Ok(Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: plain, cluster: {server: 'http://127.0.0.1:1'}}
- {name: proxied, cluster: {server: 'http://127.0.0.1:1', proxy-url: 'http://proxy.example:3128'}}
- {name: bad-ca, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: '%%%'}}
users: [{name: me, user: {token: t}}]
contexts:
- {name: here, context: {cluster: plain, user: me}}
- {name: proxied, context: {cluster: proxied, user: me}}
- {name: bad-ca, context: {cluster: bad-ca, user: me}}
";

    async fn connected(text: &str, context: Option<&str>) -> Result<Client, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, text).unwrap();
        client(Some(&path), context).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_kubeconfig_and_its_contexts_are_read() {
        assert!(connected(KUBECONFIG, None).await.is_ok());
        assert!(connected(KUBECONFIG, Some("here")).await.is_ok());
    }

    #[tokio::test]
    async fn an_error_names_what_is_wrong() {
        for (text, context, expected) in [
            (KUBECONFIG, Some("there"), "there"),
            (KUBECONFIG, Some("proxied"), "proxy.example:3128"),
            (KUBECONFIG, Some("bad-ca"), "certificate authority"),
            ("clusters: 5", None, "/config: "),
        ] {
            let error = connected(text, context).await.err().expect(expected);
            assert!(error.contains(expected), "{error}");
        }
        let missing = client(Some(Path::new("/nowhere/config")), None).await.err().unwrap().to_string();
        assert!(missing.contains("/nowhere/config") && missing.contains("check the file"), "{missing}");
    }
}
