//! One HTTP/1.1 connection that asks the same address again and again.
//!
//! The generator often shares its processors with the server that it measures, so this is hyper's bare connection: no
//! pool, no redirects, headers made once.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A request without an answer after so long has none.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where requests go, and what every one of them says.
pub(super) struct Target {
    host: String,
    port: u16,
    path: Uri,
    headers: HeaderMap,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// Requests of pictures for an address, with a key where there is one.
    ///
    /// # Errors
    /// An address that is none of HTTP, or a key that no header can hold.
    pub(super) fn new(url: &Url, key: Option<&str>) -> anyhow::Result<Self> {
        let host = url.host_str().context("the address has no host")?.to_owned();
        let port = url.port_or_known_default().context("the address has no port")?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
                Some((TlsConnector::from(Arc::new(ClientConfig::with_platform_verifier()?)), name))
            }
            other => anyhow::bail!("{other} is not http or https"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&format!("{host}:{port}"))?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let Some(key) = key {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", url.path()).parse()?;
        Ok(Self { host, port, path, headers, tls })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.host.trim_matches(['[', ']']), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => speak_http(stream).await,
            Some((connector, name)) => speak_http(connector.connect(name.clone(), stream).await?).await,
        }
    }

    fn request(&self, picture: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(picture));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

async fn speak_http<S>(stream: S) -> anyhow::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the sender, or when the server hangs up; what failed is seen at the request.
    tokio::spawn(connection);
    Ok(sender)
}

/// One connection, made when it is needed and made anew once it is gone.
pub(super) struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, sender: None }
    }

    /// Sends a picture and reads the answer whole: its status, or 0 where none came.
    pub(super) async fn ask(&mut self, picture: Bytes) -> u16 {
        let status = timeout(PATIENCE, self.status_for(picture)).await.ok().and_then(Result::ok);
        if status.is_none() {
            self.sender = None;
        }
        status.unwrap_or(0)
    }

    async fn status_for(&mut self, picture: Bytes) -> anyhow::Result<u16> {
        let mut request = self.target.request(picture);
        let response = loop {
            let (sender, is_fresh) = match self.sender.take() {
                Some(sender) => (self.sender.insert(sender), false),
                None => (self.sender.insert(self.target.connect().await?), true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => break response,
                // An idle connection may be closed by the server; what has not been sent goes over a new one.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_fresh => {
                        request = unsent;
                        self.sender = None;
                    }
                    _ => return Err(error.into_error().into()),
                },
            }
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }
}
