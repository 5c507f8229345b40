//! nginx with client certificates, where it is installed.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Server, children_of};
use crate::servers::BODY;

type Failure = Box<dyn Error + Send + Sync>;

/// Where it is not to be found.
pub const ABSENT: &str = "nginx is not installed";

const PATIENCE: Duration = Duration::from_secs(10);

/// The program and its version, where it is installed.
pub fn installed() -> Option<(PathBuf, String)> {
    ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find_map(|program| {
            let output = Command::new(program).arg("-v").output().ok()?;
            let said = String::from_utf8(output.stderr).ok()?;
            let version = said.trim().rsplit_once(": ")?.1.replace('/', " ");
            Some((PathBuf::from(program), version))
        })
}

/// Starts it with one worker on the certificates in `directory`, which it also writes into.
///
/// # Errors
///
/// Where it does not start.
pub fn start(program: &Path, directory: &Path) -> Result<Server, Failure> {
    // It cannot choose a port itself.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let file = directory.join("nginx.conf");
    fs::write(&file, config(address, directory))?;
    let child = Command::new(program)
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg(directory.join("error.log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let master = child.id();
    let begun = Instant::now();
    let mut server = Server::adopt(child, master, address);
    loop {
        if let [worker] = children_of(master)?[..]
            && TcpStream::connect(address).is_ok()
        {
            server.works_in(worker);
            return Ok(server);
        }
        if begun.elapsed() > PATIENCE {
            let log = fs::read_to_string(directory.join("error.log")).unwrap_or_default();
            return Err(format!("nginx does not come up: {log}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same work as ours: TLS 1.3, AES-128, X25519, client certificates, a small answer, no log.
fn config(address: SocketAddr, directory: &Path) -> String {
    let shown = directory.display();
    let body = BODY.escape_debug();
    // As root it would otherwise give the worker to a user who may not exist.
    let user = fs::metadata(directory)
        .ok()
        .filter(|metadata| std::os::unix::fs::MetadataExt::uid(metadata) == 0)
        .map_or("", |_| "user root;");
    format!(
        r#"
{user}
daemon off;
worker_processes 1;
pid {shown}/nginx.pid;
error_log {shown}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {shown}/body;
    proxy_temp_path {shown}/proxy;
    fastcgi_temp_path {shown}/fastcgi;
    uwsgi_temp_path {shown}/uwsgi;
    scgi_temp_path {shown}/scgi;
    tcp_nodelay on;
    server {{
        listen {address} ssl backlog=1024;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_ecdh_curve X25519;
        ssl_certificate {shown}/chain.pem;
        ssl_certificate_key {shown}/key.pem;
        ssl_client_certificate {shown}/root.pem;
        ssl_verify_client on;
        ssl_verify_depth 3;
        ssl_session_tickets on;
        location / {{ return 200 "{body}"; }}
    }}
}}
"#
    )
}
