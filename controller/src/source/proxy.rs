//! Whether the API server is asked through a proxy.

use std::net::IpAddr;

use http::Uri;
pub(super) use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::client::proxy::matcher::Matcher;

/// The proxy that the kubeconfig names, whatever NO_PROXY says; otherwise what the environment says (HTTPS_PROXY, ALL_PROXY,
/// and NO_PROXY), which is not for this machine itself. As kubectl has it.
///
/// # Errors
/// The one that the kubeconfig names, where it is of no kind that is known: to do without it would send credentials another way.
pub(super) fn proxy(of_kubeconfig: Option<&str>, server: &Uri) -> Result<Option<Intercept>, String> {
    match of_kubeconfig {
        Some(url) => match Matcher::builder().all(url).build().intercept(server) {
            Some(proxy) => Ok(Some(proxy)),
            None => Err(url.to_owned()),
        },
        None if is_here(server) => Ok(None),
        None => Ok(Matcher::from_env().intercept(server)),
    }
}

fn is_here(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfigs_proxy_counts_even_for_this_machine() {
        let server = Uri::from_static("https://127.0.0.1:6443");
        let proxy = proxy(Some("http://user:p%40ss@proxy.example:3128"), &server).unwrap().unwrap();
        assert_eq!(proxy.uri().host(), Some("proxy.example"));
        assert!(proxy.basic_auth().is_some());
        assert!(super::proxy(None, &server).unwrap().is_none());
        assert!(super::proxy(Some("gopher://proxy.example"), &server).is_err());
    }

    #[test]
    fn this_machine_has_several_names() {
        for (server, expected) in [
            ("https://localhost:6443", true),
            ("https://127.0.0.2", true),
            ("https://[::1]:6443", true),
            ("https://10.0.0.1", false),
            ("https://localhost.example", false),
        ] {
            assert_eq!(is_here(&Uri::from_static(server)), expected, "{server}");
        }
    }
}
