//! The API server is asked through the proxy that the kubeconfig names: proxies of each kind, on loopback, which say what they
//! were asked for.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use palisade::source;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What nobody but the proxy can find.
const SERVER: &str = "api.example:6443";

/// What a proxy was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// Host and port.
    target: String,
    /// As whom: name and password.
    user: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Https,
    Socks,
}

/// Answers one connection, with what is at `api`.
struct Proxy {
    address: SocketAddr,
    asked: oneshot::Receiver<Asked>,
    /// The certificate of one that speaks TLS.
    certificate: String,
}

impl Proxy {
    async fn start(kind: Kind, api: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (tell, asked) = oneshot::channel();
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
        let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key)?;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            match kind {
                Kind::Http => connect(stream, api, tell).await,
                Kind::Https => connect(TlsAcceptor::from(Arc::new(tls)).accept(stream).await?, api, tell).await,
                Kind::Socks => socks(stream, api, tell).await,
            }
        });
        Ok(Self { address, asked, certificate: own.cert.pem() })
    }
}

/// `CONNECT` of HTTP/1.1 (RFC 9110, 9.3.6).
async fn connect(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    api: SocketAddr,
    tell: oneshot::Sender<Asked>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut asked, mut line) = (Asked { target: String::new(), user: None }, String::new());
    while stream.read_line(&mut line).await? > 0 && line != "\r\n" {
        let text = line.trim_end();
        if let Some(target) = text.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")) {
            asked.target = target.to_owned();
        }
        if let Some((name, value)) = text.split_once(": Basic ")
            && name.eq_ignore_ascii_case("proxy-authorization")
        {
            let user = STANDARD.decode(value).ok().and_then(|user| String::from_utf8(user).ok());
            asked.user = user;
        }
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    stream.flush().await?;
    pass(stream, api, asked, tell).await
}

/// SOCKS 5 (RFC 1928), with name and password (RFC 1929) where they are offered.
async fn socks(mut stream: TcpStream, api: SocketAddr, tell: oneshot::Sender<Asked>) -> io::Result<()> {
    const BY_NAME_AND_PASSWORD: u8 = 2;
    stream.read_u8().await?;
    let methods = sized(&mut stream).await?;
    let user = if methods.contains(&BY_NAME_AND_PASSWORD) {
        stream.write_all(&[5, BY_NAME_AND_PASSWORD]).await?;
        stream.read_u8().await?;
        let (name, password) = (sized(&mut stream).await?, sized(&mut stream).await?);
        stream.write_all(&[1, 0]).await?;
        Some(format!("{}:{}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&password)))
    } else {
        stream.write_all(&[5, 0]).await?;
        None
    };
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        _ => String::from_utf8_lossy(&sized(&mut stream).await?).into_owned(),
    };
    let target = format!("{host}:{}", stream.read_u16().await?);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    pass(stream, api, Asked { target, user }, tell).await
}

async fn sized(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn pass(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    api: SocketAddr,
    asked: Asked,
    tell: oneshot::Sender<Asked>,
) -> io::Result<()> {
    tell.send(asked).ok();
    copy_bidirectional(&mut stream, &mut TcpStream::connect(api).await?).await.map(drop)
}

/// An API server that knows its version.
async fn api() -> Outcome<SocketAddr> {
    let version = json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
        "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/version", get(move || async move { version.to_string() }));
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(address)
}

/// What a proxy of this kind is asked for where the kubeconfig says `url`, in which `PROXY` is the proxy, about the API server
/// `server`.
async fn asked(kind: Kind, url: &str, server: &str) -> Outcome<Asked> {
    let proxy = Proxy::start(kind, api().await?).await?;
    let url = url.replace("PROXY", &proxy.address.to_string());
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("http://{server}"), "proxy-url": url,
            "certificate-authority-data": STANDARD.encode(&proxy.certificate),
        }}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    });
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), kubeconfig.to_string())?;
    let client = source::client(Some(file.path()), None).await?;
    assert_eq!(client.apiserver_version().await?.git_version, "v1.36.3");
    Ok(proxy.asked.await?)
}

fn expected(target: &str, user: Option<&str>) -> Asked {
    Asked { target: target.to_owned(), user: user.map(str::to_owned) }
}

#[tokio::test]
async fn http_proxies_are_asked_to_connect() -> Outcome {
    assert_eq!(asked(Kind::Http, "http://PROXY", SERVER).await?, expected(SERVER, None));
    let user = Some("user:p@ss");
    assert_eq!(asked(Kind::Http, "http://user:p%40ss@PROXY", SERVER).await?, expected(SERVER, user));
    Ok(())
}

#[tokio::test]
async fn https_proxies_are_asked_over_tls() -> Outcome {
    let user = Some("user:p@ss");
    assert_eq!(asked(Kind::Https, "https://user:p%40ss@PROXY", SERVER).await?, expected(SERVER, user));
    Ok(())
}

#[tokio::test]
async fn socks_proxies_get_names_or_addresses() -> Outcome {
    assert_eq!(asked(Kind::Socks, "socks5h://PROXY", SERVER).await?, expected(SERVER, None));
    assert_eq!(asked(Kind::Socks, "socks5://PROXY", "localhost:6443").await?, expected("127.0.0.1:6443", None));
    let user = Some("user:p@ss");
    assert_eq!(asked(Kind::Socks, "socks5h://user:p%40ss@PROXY", SERVER).await?, expected(SERVER, user));
    Ok(())
}
