//! Ports that stay one's own between being chosen and being listened on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A port of `127.0.0.1` on which nobody listens: connections to it are refused.
///
/// A port that is bound and closed again may be another test's a moment later. This one
/// is bound for as long as the value lives, so that whoever asks for any free port is
/// given another. A server that is told this port can listen on it all the same: Linux
/// lets sockets with `SO_REUSEADDR` share an address as long as one of them listens at
/// most.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Any port that is free.
    pub fn any() -> Self {
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Self {
            address: socket.local_addr().expect("its address"),
            _socket: socket,
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// Listens on it, within a tokio runtime, until the listener is dropped.
    pub fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(BACKLOG)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn it_refuses_and_can_be_listened_on_again_and_again() {
        let port = ReservedPort::any();
        let connect = || TcpStream::connect(port.address());
        for _ in 0..3 {
            let refused = connect().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = port.listen().unwrap();
            connect().unwrap();
            // Only one at a time.
            let taken = port.listen().unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
            drop(listener);
        }
    }
}
