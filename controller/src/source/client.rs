//! The connection to the API server.

use std::path::Path;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

use super::failure::chain;
use super::proxy::{self, Intercept};
use super::transport::connect;
use crate::meant::meant;

/// Why there is no way to the API server. Nothing has been sent yet: a server that does not answer is no such error.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The kubeconfig that is given cannot be used.
    #[error("kubeconfig {path}: {reason}: check the file")]
    Kubeconfig {
        /// The file, or where it was looked for.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no kubeconfig, and none was given.
    #[error(
        "no cluster is known: {path}: {reason}: give --kubeconfig FILE, set KUBECONFIG, or work from files with --manifests DIR"
    )]
    NoKubeconfig {
        /// Where it was looked for.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The kubeconfig has no such context.
    #[error("kubeconfig {path} has no context {name}{near}")]
    NoContext {
        /// The file, or where it was looked for.
        path: String,
        /// What was asked for.
        name: String,
        /// What was probably meant, or what there is.
        near: String,
    },
    /// The pod's own credentials cannot be used.
    #[error("cannot use the pod's service account: {}: set automountServiceAccountToken, or give --kubeconfig outside of a cluster", chain(.0))]
    InCluster(InClusterError),
    /// Credentials or certificates that are there, but wrong.
    #[error("cannot prepare the connection to {server}: {reason}: check certificates and credentials")]
    Transport {
        /// The API server.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// The kubeconfig, or HTTPS_PROXY, names a proxy of a kind that is not known.
    #[error("the proxy {0} is of no kind that is known: http, https, socks5 or socks5h")]
    Proxy(String),
}

/// A client with the credentials of `kubeconfig` (or of the default one, where only a `context` is given); without
/// either with those of the pod it runs in, or else of the default kubeconfig (`KUBECONFIG`, `~/.kube/config`).
///
/// It goes through the proxy that the kubeconfig names (`proxy-url`), or else HTTPS_PROXY, as NO_PROXY allows; from a pod to its
/// own cluster through none.
///
/// Tokens and the cluster's certificate are read again when they change. Dead connections are noticed within a minute.
///
/// # Errors
/// [`ConnectError`].
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ConnectError> {
    let (config, proxy) = config(kubeconfig, context).await?;
    connect(config, proxy)
}

async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<(Config, Option<Intercept>), ConnectError> {
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if kubeconfig.is_none() && context.is_none() && in_cluster {
        return Ok((Config::incluster().map_err(ConnectError::InCluster)?, None));
    }
    let path = match kubeconfig {
        Some(path) => path.display().to_string(),
        None => std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned()),
    };
    let unusable = |error: KubeconfigError| {
        let (path, reason) = (path.clone(), reason(&error));
        match error {
            KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath if kubeconfig.is_none() => {
                ConnectError::NoKubeconfig { path, reason }
            }
            _ => ConnectError::Kubeconfig { path, reason },
        }
    };
    let read = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from).map_err(unusable)?;
    check_context(&read, context, &path)?;
    let of_kubeconfig = proxy_url(&read, context);
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read, &options).await.map_err(unusable)?;
    let proxy = proxy::proxy(of_kubeconfig.as_deref(), &config.cluster_url).map_err(ConnectError::Proxy)?;
    Ok((config, proxy))
}

/// The file is named already.
fn reason(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        error => chain(error),
    }
}

fn check_context(kubeconfig: &Kubeconfig, context: Option<&str>, path: &str) -> Result<(), ConnectError> {
    let names: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    match context.filter(|name| !names.iter().any(|known| known == name)) {
        None => Ok(()),
        Some(name) => {
            let near = match meant(name, names.clone()) {
                near if near.is_empty() => format!(": it has {}", names.join(", ")),
                near => near,
            };
            Err(ConnectError::NoContext { path: path.to_owned(), name: name.to_owned(), near })
        }
    }
}

/// The `proxy-url` of the cluster that is asked.
fn proxy_url(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
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
- {name: odd, cluster: {server: 'http://127.0.0.1:1', proxy-url: 'gopher://proxy.example'}}
- {name: bad-ca, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: '%%%'}}
users: [{name: me, user: {token: t}}]
contexts:
- {name: here, context: {cluster: plain, user: me}}
- {name: proxied, context: {cluster: proxied, user: me}}
- {name: odd, context: {cluster: odd, user: me}}
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
        assert!(connected(KUBECONFIG, Some("proxied")).await.is_ok());
    }

    #[tokio::test]
    async fn an_error_names_what_is_wrong() {
        for (text, context, expected) in [
            (KUBECONFIG, Some("there"), "has no context there: did you mean here?"),
            (KUBECONFIG, Some("elsewhere"), "has no context elsewhere: it has here, proxied, odd, bad-ca"),
            (KUBECONFIG, Some("odd"), "the proxy gopher://proxy.example"),
            (KUBECONFIG, Some("bad-ca"), "certificate authority"),
            ("clusters: 5", None, "/config: "),
        ] {
            let error = connected(text, context).await.err().expect(expected);
            assert!(error.contains(expected), "{error}");
        }
        let missing = client(Some(Path::new("/nowhere/config")), None).await.err().unwrap().to_string();
        assert_eq!(missing, "kubeconfig /nowhere/config: No such file or directory (os error 2): check the file");
    }
}
