//! How the driver is spoken to: plain HTTP, never through a proxy.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thirtyfour::error::{WebDriverError, WebDriverResult};
use thirtyfour::session::http::{Body, HttpClient};

/// A client for the loopback interface.
#[derive(Clone)]
pub(crate) struct Plain(Client<HttpConnector, Full<Bytes>>);

impl Default for Plain {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn send(&self, request: Request<Body<'_>>) -> WebDriverResult<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = match body {
            Body::Empty => Bytes::new(),
            Body::Json(json) => serde_json::to_vec(json)?.into(),
        };
        let answer = self.0.request(Request::from_parts(parts, Full::new(body))).await.map_err(failed)?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    async fn new(&self) -> Arc<dyn HttpClient> {
        Arc::new(Self::default())
    }
}

fn failed(error: impl std::error::Error) -> WebDriverError {
    WebDriverError::FatalError(format!("chromedriver does not answer: {error}"))
}
