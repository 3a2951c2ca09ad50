//! tokio's sockets, with `timeout` around every call and without. Takes the ports of the echo server
//! and of the sink, prints the port it accepts on, and for each line such as "limited 150" a line when
//! that is done.

use std::{io, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const CONNECTIONS: usize = 64;
const LANES: usize = 8;
const LIMIT: Duration = Duration::from_secs(30);

async fn dial(port: u16) -> io::Result<TcpStream> {
    let stream = timeout(LIMIT, TcpStream::connect(("127.0.0.1", port))).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn trips(mut stream: TcpStream, count: usize, limited: bool) -> io::Result<TcpStream> {
    let mut data = [7; 64];
    for _ in 0..count {
        if limited {
            timeout(LIMIT, stream.write_all(&data)).await??;
        } else {
            stream.write_all(&data).await?;
        }
        let mut got = 0;
        while got < data.len() {
            let into = &mut data[got..];
            got += if limited {
                timeout(LIMIT, stream.read(into)).await??
            } else {
                stream.read(into).await?
            };
        }
    }
    Ok(stream)
}

fn main() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let ports: Vec<u16> = std::env::args().skip(1).map(|port| port.parse().unwrap()).collect();
    let (echo, sink) = (ports[0], ports[1]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(dial(echo).await?);
    }
    let mut held: Vec<TcpStream> = Vec::new();
    let mut waiting: Vec<JoinHandle<()>> = Vec::new();
    println!("{}", listener.local_addr()?.port());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (command, count) = line.split_once(' ').unwrap();
        let count: usize = count.parse().unwrap();
        match command {
            "bare" | "limited" => {
                let limited = command == "limited";
                let mut set = JoinSet::new();
                for stream in streams.drain(..) {
                    set.spawn(trips(stream, count, limited));
                }
                while let Some(stream) = set.join_next().await {
                    streams.push(stream??);
                }
            }
            "connect" => {
                let mut set = JoinSet::new();
                for _ in 0..LANES {
                    set.spawn(async move {
                        for _ in 0..count {
                            drop(dial(sink).await?);
                        }
                        io::Result::Ok(())
                    });
                }
                while let Some(done) = set.join_next().await {
                    done??;
                }
            }
            "accept" => {
                for _ in 0..count {
                    held.push(timeout(LIMIT, listener.accept()).await??.0);
                }
            }
            "idle" => {
                for _ in 0..count {
                    let mut stream = dial(sink).await?;
                    waiting.push(tokio::spawn(async move {
                        let mut into = [0; 64];
                        let _ = timeout(Duration::from_secs(600), stream.read(&mut into)).await;
                    }));
                }
            }
            _ => {
                held.clear();
                waiting.drain(..).for_each(|task| task.abort());
            }
        }
        println!("done");
    }
    Ok(())
}
