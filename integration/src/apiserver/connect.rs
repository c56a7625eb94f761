use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ConfigExt};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

use super::ApiError;
use crate::netns::Namespace;

/// A TCP connection opened inside `namespace`, from whatever thread.
pub(super) async fn connect(namespace: Arc<Namespace>, address: SocketAddr) -> io::Result<TcpStream> {
    let connect = move || namespace.enter(|| std::net::TcpStream::connect(address));
    let stream = tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)?.map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

/// A client whose connections all lead to `address` inside `namespace`, whatever host the configuration names.
pub(super) fn client(
    config: &kube::Config,
    namespace: Arc<Namespace>,
    address: SocketAddr,
) -> Result<kube::Client, ApiError> {
    let failed = ApiError::request("configure a client");
    let build = || {
        let connector = config.rustls_https_connector_with_connector(Connector { namespace, address })?;
        let http = HttpClient::builder(TokioExecutor::new()).build::<_, Body>(connector);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer()?)
            .map_err(BoxError::from)
            .service(http);
        Ok(kube::Client::new(service, config.default_namespace.clone()))
    };
    build().map_err(failed)
}

#[derive(Clone)]
struct Connector {
    namespace: Arc<Namespace>,
    address: SocketAddr,
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (namespace, address) = (Arc::clone(&self.namespace), self.address);
        Box::pin(async move { connect(namespace, address).await.map(TokioIo::new) })
    }
}
