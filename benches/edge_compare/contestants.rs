//! The servers that are compared, each as its package comes, but for what is said here.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use benches::processor;
use peers::port::ReservedPort;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::bare_hyper;
use crate::origin::{OBJECTS, Object, Origin};

/// How long a server may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose figures are compared with the others'.
pub(crate) const NOVA: &str = "nova";
/// No cache, but what one is measured by. It does not ask the origin.
pub(crate) const BARE_HYPER: &str = "bare-hyper";

/// How a server is started.
pub(crate) struct Start {
    pub(crate) name: &'static str,
    command: fn(&Place<'_>) -> Result<Command, Box<dyn Error>>,
}

pub(crate) const ALL: &[Start] = &[
    Start {
        name: NOVA,
        command: nova,
    },
    Start {
        name: "nova-threads",
        command: nova_with_threads,
    },
    Start {
        name: BARE_HYPER,
        command: bare_hyper,
    },
    Start {
        name: "nginx",
        command: nginx,
    },
    Start {
        name: "varnish",
        command: varnish,
    },
    Start {
        name: "trafficserver",
        command: trafficserver,
    },
];

/// What a server is given.
struct Place<'a> {
    nova: &'a Path,
    folder: &'a Path,
    port: u16,
    origin: u16,
}

/// A server that has every object. Ends when it is dropped.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    port: ReservedPort,
    process: Child,
}

impl Contestant {
    pub(crate) async fn start(
        start: &Start,
        nova: &Path,
        origin: &Origin,
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = folder.join(start.name);
        fs::create_dir(&folder)?;
        let port = ReservedPort::any();
        let mut command = (start.command)(&Place {
            nova,
            folder: &folder,
            port: port.number(),
            origin: origin.port(),
        })?;
        let log = fs::File::create(folder.join("log"))?;
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{:?}: {error}; install it", command.get_program()))?;
        let mut contestant = Self {
            name: start.name,
            port,
            process,
        };
        if let Err(error) = contestant.fill().await {
            let log = fs::read_to_string(folder.join("log"))?;
            return Err(format!("{}: {error}\n{log}", start.name).into());
        }
        Ok(contestant)
    }

    /// Waits until it listens, and has it ask for each object.
    async fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.port.address()).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("it ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err("it does not listen".into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        for object in &OBJECTS {
            timeout(PATIENCE, self.ask(object))
                .await
                .map_err(|_| format!("{} did not come", object.name))??;
        }
        Ok(())
    }

    async fn ask(&self, object: &Object) -> Result<(), Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.port.address()).await?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            object.path(),
            self.port.address()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        match answer.starts_with(b"HTTP/1.1 200") && answer.len() > object.len() {
            true => Ok(()),
            false => {
                let head = String::from_utf8_lossy(&answer[..answer.len().min(500)]).into_owned();
                Err(format!("{} was answered: {head}", object.path()).into())
            }
        }
    }

    pub(crate) fn url(&self, object: &Object) -> String {
        format!("http://{}{}", self.port.address(), object.path())
    }

    pub(crate) fn processor_time(&self) -> Result<Duration, Box<dyn Error>> {
        processor::time_of_tree(self.process.id())
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let terminate = i32::try_from(self.process.id()).map(|id| {
            // SAFETY: takes two numbers. The child is not reaped yet: the id is its own.
            unsafe { libc::kill(id, libc::SIGTERM) }
        });
        // It ends its children, if it has some.
        if terminate != Ok(0) || self.process.wait().is_err() {
            eprintln!("{} may still run", self.name);
        }
    }
}

/// As it comes, with the edge's role alone, and one thread, as nginx has one worker.
fn nova(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let mut command = nova_with_threads(place)?;
    command.env("TOKIO_WORKER_THREADS", "1");
    Ok(command)
}

/// The same with a thread for each processor, which `wrk` then shares one with.
fn nova_with_threads(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(place.nova);
    command
        .args(["serve", "--role", "edge", "--data-dir"])
        .arg(place.folder.join("data"))
        .env("NOVA__HTTP__BIND", format!("127.0.0.1:{}", place.port))
        .env("NOVA__ADMIN__BIND", "127.0.0.1:0")
        .env(
            "NOVA__EDGE__ORIGIN",
            format!("http://127.0.0.1:{}", place.origin),
        );
    Ok(command)
}

/// This program again, one thread.
fn bare_hyper(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([bare_hyper::ARGUMENT, &place.port.to_string()]);
    Ok(command)
}

/// One worker, no access log, `sendfile off`: the faster setting on loopback.
fn nginx(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let Place {
        folder,
        port,
        origin,
        ..
    } = place;
    let folder = folder.display();
    let file = place.folder.join("nginx.conf");
    let text = format!(
        "daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    proxy_cache_path {folder}/cache keys_zone=objects:10m max_size=1g;
    proxy_temp_path {folder}/proxy;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_cache objects;
        }}
    }}
}}
"
    );
    fs::write(&file, user_line() + &text)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file);
    Ok(command)
}

/// A worker of root's master would be `nobody`, who cannot write to the folder.
fn user_line() -> String {
    // SAFETY: asks for a number.
    match unsafe { libc::geteuid() } {
        0 => "user root;\n".to_owned(),
        _ => String::new(),
    }
}

/// In memory, without its administration's port.
fn varnish(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new("varnishd");
    command
        .args(["-F", "-T", "none", "-s", "malloc,256m"])
        .args(["-a", &format!("127.0.0.1:{}", place.port)])
        .args(["-b", &format!("127.0.0.1:{}", place.origin)])
        .arg("-n")
        .arg(place.folder.join("varnish"));
    Ok(command)
}

/// Its memory cache in front of a small disk cache, no log.
fn trafficserver(place: &Place<'_>) -> Result<Command, Box<dyn Error>> {
    let root = place.folder.join("root");
    let layout = place.folder.join("layout.yaml");
    let folders = ["exec_prefix", "bindir", "sbindir", "includedir", "libdir"];
    let folders: String = folders.map(|name| format!("{name}: ./{name}\n")).concat();
    fs::write(
        &layout,
        folders
            + "prefix: ./
sysconfdir: ./etc
datadir: ./share
libexecdir: ./modules
localstatedir: ./var
runtimedir: ./run
logdir: ./log
cachedir: ./cache
",
    )?;
    let made = Command::new("traffic_layout")
        .args(["init", "--force", "--copy-style=soft", "--path"])
        .arg(&root)
        .arg("--layout")
        .arg(layout)
        .output()
        .map_err(|error| format!("traffic_layout: {error}; install trafficserver"))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(format!("traffic_layout: {said}").into());
    }
    // A soft copy has links to the package's own files: they are not to be written to.
    let write = |name: &str, text: String| {
        let file = root.join("etc").join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::write(&file, text),
        }
    };
    let records = [
        format!("http.server_ports STRING {}:ip-in=127.0.0.1", place.port),
        // Whoever starts it.
        "admin.user_id STRING #-1".to_owned(),
        "log.logging_enabled INT 0".to_owned(),
        "cache.ram_cache.size INT 268435456".to_owned(),
        "cache.ram_cache_cutoff INT 16777216".to_owned(),
    ];
    let records = records.map(|line| format!("CONFIG proxy.config.{line}\n"));
    write("records.config", records.concat())?;
    write(
        "remap.config",
        format!("map / http://127.0.0.1:{}/\n", place.origin),
    )?;
    write(
        "ip_allow.yaml",
        "ip_allow: [{apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}]\n".to_owned(),
    )?;
    write(
        "storage.config",
        format!("{} 256M\n", root.join("cache").display()),
    )?;
    let mut command = Command::new("traffic_server");
    command.arg(format!("--run-root={}", root.display()));
    Ok(command)
}
