//! Names where the cursor is, for shells and for kubectl: from manifests, and from a cluster behind a proxy.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tempfile::TempDir;

const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Namespace, apiVersion: v1, metadata: {name: blog}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web-5d4-a, namespace: shop, labels: {pod-template-hash: 5d4}}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db-0, namespace: shop}}
---
{kind: Service, apiVersion: v1, metadata: {name: db, namespace: shop}}
";

fn manifests() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("shop.yaml"), SHOP).unwrap();
    directory
}

/// The program under the name by which kubectl calls it.
fn of_kubectl(directory: &Path) -> PathBuf {
    let link = directory.join("kubectl_complete-palisade");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_palisade"), &link).unwrap();
    link
}

/// What kubectl is told about this line, the last word of which is unfinished.
fn completed(words: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let output = Command::new(of_kubectl(directory.path())).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn kubectl_is_told_commands_options_and_names() {
    let directory = manifests();
    let manifests = directory.path().to_str().unwrap();
    let commands = completed(&["ex"]);
    assert!(commands.starts_with("explain\tSay whether a connection is allowed"), "{commands}");
    assert!(commands.ends_with(":4\n"), "no files: {commands}");
    assert!(completed(&["explain", "--from-n"]).starts_with("--from-namespace\t"));
    let explain = |words: &[&str]| completed(&[&["explain", "--manifests", manifests], words].concat());
    assert_eq!(explain(&["--from", ""]), "blog/\nshop/\n:6\n", "there is more to come");
    assert_eq!(explain(&["--from", "shop/"]), "shop/db-0\nshop/web-5d4-a\n:4\n");
    assert_eq!(explain(&["--to", "sv"]), "svc/\n:6\n");
    assert_eq!(explain(&["--to", "svc/sh"]), "svc/shop/\n:6\n");
    assert_eq!(explain(&["--to", "svc/shop/"]), "svc/shop/db\n:4\n");
    assert_eq!(explain(&["-n", "shop", "--to", "svc/d"]), "svc/db\n:4\n");
    assert_eq!(explain(&["-n", "b"]), "blog\n:4\n");
    assert_eq!(explain(&["--from", "nowhere/"]), ":4\n");
    let nothing = completed(&["explain", "--manifests", "/nonexistent", "--from", "s"]);
    assert_eq!(nothing, ":4\n", "that is no error");
}

#[test]
fn bash_is_told_the_same() {
    let directory = manifests();
    let bin = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = r#"
        source <(palisade completions bash)
        COMP_WORDS=(palisade explain --manifests "$1" --from "shop/w") COMP_CWORD=5 COMP_TYPE=9
        _clap_complete_palisade palisade "shop/w" --from
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output =
        Command::new("bash").args(["-c", script, "-"]).arg(directory.path()).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "shop/web-5d4-a", "{output:?}");
}

/// An API server that knows a namespace and its pods.
fn api() -> SocketAddr {
    let list = |name: &str| -> Value { json!({"metadata": {}, "items": [{"metadata": {"name": name}}]}) };
    let (namespaces, pods) = (list("shop"), list("db-0"));
    let router = Router::new()
        .route("/api/v1/namespaces", get(move || async move { axum::Json(namespaces) }))
        .route("/api/v1/namespaces/shop/pods", get(move || async move { axum::Json(pods) }));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await })
            .unwrap();
    });
    address
}

/// A proxy that tells whom it was asked to connect to, and by whom, and does so where it can.
fn proxy() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, heard) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let head = head(&mut client);
            let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            if asked.send(head).is_err() {
                return;
            }
            let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) else { continue };
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (address, heard)
}

fn head(client: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn kubeconfig(directory: &Path, cluster: &Value) -> PathBuf {
    let path = directory.join("config");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}, {"name": "staging", "context": {"cluster": "c", "user": "u"}}],
    });
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn names_come_from_the_cluster_through_its_proxy() {
    let directory = TempDir::new().unwrap();
    let (api, (proxy, asked)) = (api(), proxy());
    let direct = kubeconfig(directory.path(), &json!({"server": format!("http://{api}")}));
    let explain = |words: &[&str]| completed(&[&["explain", "--kubeconfig", direct.to_str().unwrap()], words].concat());
    assert_eq!(explain(&["--from", ""]), "shop/\n:6\n");
    assert_eq!(explain(&["--from", "shop/"]), "shop/db-0\n:4\n");
    assert_eq!(explain(&["--context", "s"]), "staging\n:4\n");
    assert!(asked.try_recv().is_err(), "nobody asked the proxy");

    let proxy_url = format!("http://me:secret@{proxy}");
    kubeconfig(directory.path(), &json!({"server": format!("http://{api}"), "proxy-url": proxy_url}));
    assert_eq!(explain(&["--from", "shop/"]), "shop/db-0\n:4\n");
    let head = asked.recv().unwrap();
    assert!(head.starts_with(&format!("CONNECT {api} ")), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic bwu6c2vjcmv0"), "{head}");
}

/// Ended when it is dropped.
struct Asking(Child);

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn the_environment_names_a_proxy_and_what_goes_without() {
    let directory = TempDir::new().unwrap();
    let path = kubeconfig(directory.path(), &json!({"server": "https://api.invalid:6443"}));
    let of = |proxy: SocketAddr, no_proxy: &str, arguments: &[&str]| {
        let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
        palisade.args(arguments).arg("--kubeconfig").arg(&path);
        palisade.env("HTTPS_PROXY", format!("http://{proxy}")).env("NO_PROXY", no_proxy);
        palisade
    };
    let (address, asked) = proxy();
    let mut palisade = of(address, "other.invalid", &["explain", "--from", "a/b", "--to", "a/c", "--port", "1"]);
    // It goes on trying.
    let _asking = Asking(palisade.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let head = asked.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(head.starts_with("CONNECT api.invalid:6443 "), "{head}");
    let (address, asked) = proxy();
    let output = of(address, ".invalid", &["monitor", "--all-nodes"]).output().unwrap();
    assert!(!output.status.success());
    assert!(asked.try_recv().is_err(), "{output:?}");
}
