//! Servers that pictures are fetched from.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A server on 127.0.0.1 that says the same to everybody who has sent a request's head.
pub struct Origin {
    pub address: SocketAddr,
}

impl Origin {
    /// Says these bytes and hangs up.
    pub async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(Some(bytes.into())).await
    }

    /// Says nothing and does not hang up.
    pub async fn silent() -> Self {
        Self::start(None).await
    }

    /// Answers with a picture.
    pub async fn picture(bytes: Vec<u8>) -> Self {
        Self::picture_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), bytes).await
    }

    /// The same where somebody listens already.
    pub async fn picture_on(listener: TcpListener, bytes: Vec<u8>) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n", bytes.len());
        Self::start_on(listener, Some([head.into_bytes(), bytes].concat()))
    }

    pub fn url(&self) -> String {
        format!("http://{}/picture.png", self.address)
    }

    async fn start(said: Option<Vec<u8>>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), said)
    }

    fn start_on(listener: TcpListener, said: Option<Vec<u8>>) -> Self {
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let said = said.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    match said {
                        Some(said) => stream.write_all(&said).await.unwrap(),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { address }
    }
}
