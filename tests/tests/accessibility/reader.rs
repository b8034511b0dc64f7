//! A session's bus of its own, and a screen reader on it: what Orca would ask over AT-SPI.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use atspi::proxy::accessible::{AccessibleProxy, ObjectRefExt};
use atspi::proxy::bus::{BusProxy, StatusProxy};
use atspi::proxy::proxy_ext::ProxyExt;
use atspi::{Interface, ObjectRefOwned, Role, State};
use pollster::block_on;
use tempfile::TempDir;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Error};

/// The bus of a desktop's session, with nobody on it. It ends when this is dropped.
pub(crate) struct Session {
    daemon: Child,
    pub(crate) address: String,
    /// Where the accessibility bus has its socket.
    _runtime: TempDir,
}

impl Session {
    /// Starts one; `None` if D-Bus is not installed. `display` is where its programs would be.
    pub(crate) fn start(display: &str) -> Result<Option<Self>> {
        let runtime = tempfile::tempdir()?;
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .env("DISPLAY", display)
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env_remove("AT_SPI_BUS_ADDRESS")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut daemon = match daemon {
            Ok(daemon) => daemon,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot start dbus-daemon"),
        };
        let told = daemon.stdout.take().context("dbus-daemon has no output")?;
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        let session = Self {
            daemon,
            address: line.trim().to_string(),
            _runtime: runtime,
        };
        if session.address.is_empty() {
            bail!("dbus-daemon ended before it had an address");
        }
        Ok(Some(session))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Something the screen reader found.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    object: ObjectRefOwned,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) role: Role,
    pub(crate) focused: bool,
    pub(crate) presses: bool,
}

/// A screen reader: it asks, and waits for each answer.
pub(crate) struct Reader {
    session: Connection,
    /// The accessibility bus.
    bus: Connection,
}

impl Reader {
    /// Comes to a session; `None` if AT-SPI is not installed there.
    pub(crate) fn new(session: &Session) -> Result<Option<Self>> {
        block_on(async {
            let session = Builder::address(session.address.as_str())?.build().await?;
            let address = match BusProxy::new(&session).await?.get_address().await {
                Ok(address) => address,
                Err(Error::MethodError(name, ..))
                    if name == "org.freedesktop.DBus.Error.ServiceUnknown" =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error).context("no accessibility bus"),
            };
            // Without a desktop's settings it takes everybody for blind.
            StatusProxy::new(&session)
                .await?
                .set_is_enabled(false)
                .await?;
            let bus = Builder::address(address.as_str())?.build().await?;
            Ok(Some(Self { session, bus }))
        })
    }

    /// Tells the session that somebody reads it, or nobody any more.
    pub(crate) fn reads(&self, reads: bool) -> Result<()> {
        block_on(async {
            let status = StatusProxy::new(&self.session).await?;
            Ok(status.set_is_enabled(reads).await?)
        })
    }

    /// How many windows of this name there are, of any program.
    pub(crate) fn count(&self, name: &str) -> usize {
        block_on(self.named(name)).map_or(0, |windows| windows.len())
    }

    /// Every window of this name and what is in it. The window comes first.
    pub(crate) fn windows(&self, name: &str) -> Vec<Vec<Node>> {
        block_on(async {
            let mut found = Vec::new();
            for window in self.named(name).await? {
                found.push(self.all(window).await?);
            }
            anyhow::Ok(found)
        })
        // A tree that changes under the reader's hands is read again.
        .unwrap_or_default()
    }

    /// Presses something.
    pub(crate) fn press(&self, node: &Node) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let action = object.proxies().await?.action().await?;
            ensure!(action.do_action(0).await?, "{node:?} refused");
            Ok(())
        })
    }

    /// Gives something the focus.
    pub(crate) fn focus(&self, node: &Node) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let component = object.proxies().await?.component().await?;
            ensure!(component.grab_focus().await?, "{node:?} refused");
            Ok(())
        })
    }

    /// Least, present and greatest value of something.
    pub(crate) fn value(&self, node: &Node) -> Result<[f64; 3]> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let value = object.proxies().await?.value().await?;
            Ok([
                value.minimum_value().await?,
                value.current_value().await?,
                value.maximum_value().await?,
            ])
        })
    }

    /// Sets the value of something.
    pub(crate) fn set(&self, node: &Node, to: f64) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let value = object.proxies().await?.value().await?;
            Ok(value.set_current_value(to).await?)
        })
    }

    /// Every program that may be read: the children of the desktop.
    async fn programs(&self) -> Result<Vec<ObjectRefOwned>> {
        let root = AccessibleProxy::builder(&self.bus)
            .destination("org.a11y.atspi.Registry")?
            .path("/org/a11y/atspi/accessible/root")?
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(root.get_children().await?)
    }

    async fn named(&self, name: &str) -> Result<Vec<ObjectRefOwned>> {
        let mut found = Vec::new();
        for program in self.programs().await? {
            // A program that has just left is none.
            for window in self.children(&program).await.unwrap_or_default() {
                if self.look(&window).await?.name == name {
                    found.push(window);
                }
            }
        }
        Ok(found)
    }

    async fn children(&self, of: &ObjectRefOwned) -> Result<Vec<ObjectRefOwned>> {
        let object = of.as_accessible_proxy(&self.bus).await?;
        Ok(object.get_children().await?)
    }

    async fn look(&self, object: &ObjectRefOwned) -> Result<Node> {
        let seen = object.as_accessible_proxy(&self.bus).await?;
        Ok(Node {
            object: object.clone(),
            name: seen.name().await?,
            description: seen.description().await?,
            role: seen.get_role().await?,
            focused: seen.get_state().await?.contains(State::Focused),
            presses: seen.get_interfaces().await?.contains(Interface::Action),
        })
    }

    /// Something and all in it, in the order a reader goes.
    async fn all(&self, top: ObjectRefOwned) -> Result<Vec<Node>> {
        let mut found = Vec::new();
        let mut ahead = vec![top];
        while let Some(next) = ahead.pop() {
            found.push(self.look(&next).await?);
            ahead.extend(self.children(&next).await?.into_iter().rev());
        }
        Ok(found)
    }
}
