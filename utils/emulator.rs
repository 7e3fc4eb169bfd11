//! Serves the embedded DynamoDB over HTTP, for programs that are not this crate: `cargo run --example emulator [PORT]`.
//!
//! Development only: it keeps its tables in memory and takes any credentials. Without a port it takes a free one.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;

use dynoxide::{Database, server};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match env::args().nth(1) {
        Some(port) => port.parse::<u16>().map_err(|error| format!("`{port}` is not a port: {error}"))?,
        None => 0,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    server::serve_with_shutdown(listener, Database::memory()?, std::future::pending()).await?;
    Ok(())
}
