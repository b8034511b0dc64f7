//! A session bus, and a screen reader on it with the AT-SPI requests of Orca. Calls block.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use atspi::proxy::accessible::{AccessibleProxy, ObjectRefExt};
use atspi::proxy::bus::{BusProxy, StatusProxy};
use atspi::proxy::proxy_ext::ProxyExt;
use atspi::{Interface, ObjectRefOwned, Role, State};
use continuo_tests::server_process::ServerProcess;
use pollster::block_on;
use tempfile::TempDir;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Error};

/// A D-Bus session bus of this process. Dropping it ends the daemon.
pub(crate) struct SessionBus {
    _daemon: ServerProcess,
    pub(crate) address: String,
    /// Folder of the accessibility bus's socket.
    _runtime: TempDir,
}

impl SessionBus {
    /// Starts a bus. Returns `None` if D-Bus is not installed. `display` is the X11 display of its programs.
    pub(crate) fn start(display: &str) -> Result<Option<Self>> {
        let runtime = tempfile::tempdir()?;
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .args(["--session", "--nofork", "--print-address=1"])
            .env("DISPLAY", display)
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env_remove("AT_SPI_BUS_ADDRESS");
        Ok(ServerProcess::start(&mut daemon)?.map(|daemon| Self {
            address: daemon.address.clone(),
            _daemon: daemon,
            _runtime: runtime,
        }))
    }
}

/// A node of an accessibility tree, as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    object: ObjectRefOwned,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) role: Role,
    pub(crate) focused: bool,
    /// Whether it has the action interface.
    pub(crate) presses: bool,
}

/// A screen reader.
pub(crate) struct ScreenReader {
    session: Connection,
    /// The accessibility bus.
    bus: Connection,
}

impl ScreenReader {
    /// Connects to a session's accessibility bus. Returns `None` if AT-SPI is not installed.
    pub(crate) fn new(session: &SessionBus) -> Result<Option<Self>> {
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
            // Without desktop settings, AT-SPI reports a screen reader from the start.
            StatusProxy::new(&session)
                .await?
                .set_is_enabled(false)
                .await?;
            let bus = Builder::address(address.as_str())?.build().await?;
            Ok(Some(Self { session, bus }))
        })
    }

    /// Reports to the session that a screen reader is active, or none.
    pub(crate) fn set_active(&self, active: bool) -> Result<()> {
        block_on(async {
            let status = StatusProxy::new(&self.session).await?;
            Ok(status.set_is_enabled(active).await?)
        })
    }

    /// Number of windows of this name, of all programs.
    pub(crate) fn count(&self, name: &str) -> usize {
        block_on(self.named(name)).map_or(0, |windows| windows.len())
    }

    /// The nodes of every window of this name; the window itself comes first.
    pub(crate) fn windows(&self, name: &str) -> Vec<Vec<Node>> {
        block_on(async {
            let mut found = Vec::new();
            for window in self.named(name).await? {
                found.push(self.all(window).await?);
            }
            anyhow::Ok(found)
        })
        // A tree that changes while it is read counts as empty; the caller reads it again.
        .unwrap_or_default()
    }

    /// Presses a node.
    pub(crate) fn press(&self, node: &Node) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let action = object.proxies().await?.action().await?;
            ensure!(action.do_action(0).await?, "{node:?} refused");
            Ok(())
        })
    }

    /// Gives a node the focus.
    pub(crate) fn focus(&self, node: &Node) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let component = object.proxies().await?.component().await?;
            ensure!(component.grab_focus().await?, "{node:?} refused");
            Ok(())
        })
    }

    /// Least, current and greatest value of a node.
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

    /// Sets the value of a node.
    pub(crate) fn set(&self, node: &Node, to: f64) -> Result<()> {
        block_on(async {
            let object = node.object.as_accessible_proxy(&self.bus).await?;
            let value = object.proxies().await?.value().await?;
            Ok(value.set_current_value(to).await?)
        })
    }

    /// Every accessible program: the children of the desktop.
    async fn programs(&self) -> Result<Vec<ObjectRefOwned>> {
        let root = AccessibleProxy::builder(&self.bus)
            .destination("org.a11y.atspi.Registry")?
            .path("/org/a11y/atspi/accessible/root")?
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(root.get_children().await?)
    }

    /// Every window of this name.
    async fn named(&self, name: &str) -> Result<Vec<ObjectRefOwned>> {
        let mut found = Vec::new();
        for program in self.programs().await? {
            // A program that has just ended has no windows.
            for window in self.children(&program).await.unwrap_or_default() {
                if self.read_node(&window).await?.name == name {
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

    /// Reads a node.
    async fn read_node(&self, object: &ObjectRefOwned) -> Result<Node> {
        let proxy = object.as_accessible_proxy(&self.bus).await?;
        Ok(Node {
            object: object.clone(),
            name: proxy.name().await?,
            description: proxy.description().await?,
            role: proxy.get_role().await?,
            focused: proxy.get_state().await?.contains(State::Focused),
            presses: proxy.get_interfaces().await?.contains(Interface::Action),
        })
    }

    /// A node and its descendants, in reading order.
    async fn all(&self, top: ObjectRefOwned) -> Result<Vec<Node>> {
        let mut found = Vec::new();
        let mut ahead = vec![top];
        while let Some(next) = ahead.pop() {
            found.push(self.read_node(&next).await?);
            ahead.extend(self.children(&next).await?.into_iter().rev());
        }
        Ok(found)
    }
}
