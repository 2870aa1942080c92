//! Hosts with addresses of their own, on links that can be cut.

use std::cell::Cell;
use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use super::Process;
use super::site::wrapped;

/// Set for a test that is on its network.
const INSIDE: &str = "TEST_IS_ON_ITS_NETWORK";
/// Far longer than nextest lets any test run.
const LIMIT: Duration = Duration::from_secs(3_600);
/// What all hosts are plugged into.
const SWITCH: &str = "switch";

/// A network on which the test itself is a host, in namespaces of the kernel's. Needs no
/// privileges where everybody may make user namespaces.
pub(crate) struct Network {
    hosts: Cell<u8>,
}

impl Network {
    /// Runs `test`, a closure of the test function itself, on an empty network.
    ///
    /// The test is started once more, in new namespaces of users, networks, mounts and
    /// processes. They end with it, however it ends, and all processes in them.
    #[track_caller]
    pub(crate) fn with<T: FnOnce(&Self)>(test: T) {
        if env::var_os(INSIDE).is_some() {
            return test(&Self::new());
        }
        // `CRATE::MODULE::TEST::{{closure}}`
        let name = std::any::type_name::<T>();
        let name = name.trim_end_matches("::{{closure}}");
        let (_, name) = name.split_once("::").expect("a test in a module");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "unshare"])
            .args(["--user", "--map-root-user", "--net", "--mount"])
            .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(env::current_exe().expect("this test's binary"))
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1");
        let mut process = Process::start(name, &mut command);
        let status = process.wait_exit(LIMIT);
        let (stdout, stderr) = process.output();
        println!("{}", stdout.join("\n"));
        eprintln!("{}", stderr.join("\n"));
        assert!(status.success(), "on its network: {status}");
        let ran = |line: &String| line.starts_with("test result: ok. 1 passed");
        assert!(stdout.iter().any(ran), "{name} is no test");
    }

    fn new() -> Self {
        let network = Self {
            hosts: Cell::new(0),
        };
        // Where `ip` keeps the names of namespaces.
        run("mount -t tmpfs tmpfs /run");
        run("ip link set dev lo up");
        // Not on the test's own host, which would notice what happens to links there: a
        // browser gives up its requests then.
        run(&format!("ip netns add {SWITCH}"));
        run(&format!(
            "ip -netns {SWITCH} link add name {SWITCH} type bridge"
        ));
        run(&format!("ip -netns {SWITCH} link set dev {SWITCH} up"));
        network.plug_in("viewers", "");
        network
    }

    /// The test's own address.
    pub(crate) fn address(&self) -> IpAddr {
        address(1)
    }

    /// A new host, up and plugged in. Its name has 15 characters at most.
    #[track_caller]
    pub(crate) fn host(&self, name: &str) -> Host {
        run(&format!("ip netns add {name}"));
        run(&format!("ip -netns {name} link set dev lo up"));
        let address = self.plug_in(name, &format!("-netns {name} "));
        let name = name.to_owned();
        Host { name, address }
    }

    /// Lays a link to the host that `inside` leads to. Its address there.
    #[track_caller]
    fn plug_in(&self, name: &str, inside: &str) -> IpAddr {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let address = address(number);
        run(&format!(
            "ip {inside}link add name eth0 type veth peer name {name} netns {SWITCH}"
        ));
        run(&format!("ip {inside}address add {address}/24 dev eth0"));
        run(&format!("ip {inside}link set dev eth0 up"));
        let plug = format!("ip -netns {SWITCH} link set dev {name}");
        run(&format!("{plug} master {SWITCH} up"));
        address
    }
}

/// A host on a [`Network`].
#[derive(Clone)]
pub(crate) struct Host {
    name: String,
    address: IpAddr,
}

impl Host {
    /// Its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// A port of it.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// `command`, to be run on this host.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut enter = Command::new("nsenter");
        enter.args([&format!("--net=/run/netns/{}", self.name), "--"]);
        wrapped(enter, command)
    }

    /// Cuts its link: what is sent to it or from it is lost, and nobody is told.
    #[track_caller]
    pub(crate) fn cut(&self) {
        self.set("down");
    }

    /// Mends its link.
    #[track_caller]
    pub(crate) fn mend(&self) {
        self.set("up");
    }

    #[track_caller]
    fn set(&self, state: &str) {
        let name = &self.name;
        run(&format!("ip -netns {SWITCH} link set dev {name} {state}"));
    }
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, host).into()
}

/// Runs a command line without quotes, which has nothing to say if it goes well.
#[track_caller]
fn run(line: &str) {
    let mut words = line.split(' ');
    let program = words.next().expect("a program");
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}
