//! What stands between the application and DynamoDB in production: a host in the middle, which can forget its connections
//! without a word, and which sees who signs the requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use rocket::tokio;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy in front of a server; it ends with the runtime.
pub struct Proxy {
    address: SocketAddr,
    /// Connections opened before this number are frozen.
    epoch: watch::Sender<usize>,
    seen: Arc<Mutex<Seen>>,
}

/// What has passed the proxy.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connections: usize,
    /// Connections that the application has closed.
    pub closed: usize,
    /// Of each request, `KEY/REGION` of its signature and the operation.
    pub requests: Vec<(String, String)>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        Self::on("127.0.0.1", upstream).await
    }

    /// A proxy that listens at this address.
    pub async fn on(address: &str, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (epoch, frozen) = watch::channel(0);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.lock().expect("no panic").connections += 1;
                tokio::spawn(carry(client, upstream, frozen.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, epoch, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Forgets the connections that are open: they stay open, and nothing passes any more.
    pub fn freeze(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }

    /// Begins to count again.
    pub fn reset(&self) {
        *self.seen.lock().expect("no panic") = Seen::default();
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, mut epoch: watch::Receiver<usize>, seen: Arc<Mutex<Seen>>) {
    let mine = *epoch.borrow();
    let server = TcpStream::connect(upstream).await.expect("the server listens");
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there = pass(from_client, to_server, Some(Arc::clone(&seen)));
    let back = pass(from_server, to_client, None);
    // The sockets are in the futures: a frozen connection stays open.
    tokio::pin!(there, back);
    let ended = tokio::select! {
        () = &mut there => true,
        () = &mut back => false,
        () = async { drop(epoch.wait_for(|epoch| *epoch > mine).await) } => std::future::pending().await,
    };
    seen.lock().expect("no panic").closed += usize::from(ended);
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: Option<Arc<Mutex<Seen>>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(seen) = &seen {
            let text = String::from_utf8_lossy(&buffer[..read]);
            if let (Some(signed), Some(operation)) =
                (between(&text, "Credential=", ","), between(&text, "DynamoDB_20120810.", "\r"))
            {
                let mut scope = signed.split('/');
                let (key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
                seen.lock().expect("no panic").requests.push((format!("{key}/{region}"), operation.to_owned()));
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}

/// The embedded engine behind HTTP, with an empty table `sessions`; it ends with the runtime.
///
/// The table is there from the start, so that an application can do without a launch that waits for the store.
pub async fn emulator() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let database = dynoxide::Database::memory().expect("an engine");
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    let create = super::remote(&format!("http://{address}")).create_table().table_name("sessions");
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().expect("complete");
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let create = create.key_schema(key).attribute_definitions(id.build().expect("complete"));
    create.billing_mode(BillingMode::PayPerRequest).send().await.expect("the engine answers");
    address
}

/// Answers each HTTP request with what `answer` makes of its head and body, and closes the connection.
pub async fn fake(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = Vec::new();
                let (head, body) = loop {
                    let mut buffer = [0; 4096];
                    let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                let (status, body) = answer(&head, &body);
                let length = body.len();
                // The metadata service of EC2 tells the life of its token in a header.
                let head = format!(
                    "HTTP/1.1 {status} Answer\r\nContent-Length: {length}\r\nConnection: close\r\n\
                     x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            });
        }
    });
    address
}
