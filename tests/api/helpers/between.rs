//! A way to an object store on which objects can be held up.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What becomes of the objects that are held up. All else passes always, listings too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objects {
    Pass,
    /// Each request for one is a 503, as from a store that has too much to do.
    Refused,
    /// Of each that is asked for, a byte comes a second, until objects pass.
    Trickle,
}

/// Passes requests on to a store, one a connection.
pub struct Between {
    pub address: SocketAddr,
    objects: watch::Sender<Objects>,
}

impl Between {
    /// Holds up the objects that have this in their path.
    pub async fn start(store: SocketAddr, held_up: &'static str, objects: Objects) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (objects, told) = watch::channel(objects);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    // One end may go away in the middle.
                    let _ = pass(client, store, held_up, told).await;
                });
            }
        });
        Self { address, objects }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub fn set(&self, objects: Objects) {
        self.objects.send_replace(objects);
    }
}

async fn pass(
    mut client: TcpStream,
    store: SocketAddr,
    held_up: &str,
    mut objects: watch::Receiver<Objects>,
) -> std::io::Result<()> {
    let head = head_of(&mut client).await?;
    let is_held_up = head.lines().next().is_some_and(|line| line.contains(held_up));
    let now = if is_held_up { *objects.borrow() } else { Objects::Pass };
    if now == Objects::Refused {
        let refusal = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal).await;
    }
    let mut store = TcpStream::connect(store).await?;
    // So that the answer's end is the connection's.
    store.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).await?;
    if now == Objects::Trickle {
        client.write_all(head_of(&mut store).await?.as_bytes()).await?;
        while *objects.borrow() == Objects::Trickle {
            client.write_u8(store.read_u8().await?).await?;
            let _ = tokio::time::timeout(Duration::from_secs(1), objects.changed()).await;
        }
    }
    tokio::io::copy(&mut store, &mut client).await?;
    Ok(())
}

/// A request's or an answer's, up to the empty line. What is asked here has no body.
async fn head_of(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
