//! The concrete edges: which driver, target and backup engine a configuration means. Nobody else names them.

use crate::backup::BackupEngine;
use crate::backup::cinder;
use crate::backup::fake::FakeEngine;
use crate::backup::restic;
use crate::cmd;
use crate::config::{Backend, BackupStore, Config, DriverConfig, SecureDelete, TargetKind};
use crate::driver::Driver;
use crate::driver::fake::{self, FakeDriver};
use crate::driver::file::{self, FileConfig, FileDriver, Reflink};
use crate::driver::lvm::{LvmConfig, LvmDriver};
use crate::model::backup::StoreKind;
use crate::target::Target;
use crate::target::configfs::{self, Mounted, Tree};
use crate::target::iscsi::IscsiTarget;
use crate::target::lio::{LioConfig, LioTarget};
use crate::{RunError, driver};
use ashlar_dbus::Udisks;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tells one boot of the kernel from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why a backend cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Its files cannot be used.
    #[error(transparent)]
    File(#[from] file::OpenError),
    /// A directory cannot be used.
    #[error("the directory cannot be used")]
    Directory(#[from] io::Error),
    /// The fake was asked for a fault that it does not know.
    #[error(transparent)]
    Fault(#[from] driver::fake::BadFault),
}

/// Who serves volumes.
pub(crate) enum Exporting {
    /// The kernel, which needs nobody to keep it running.
    Kernel(Arc<LioTarget>),
    /// A process of Ashlar's own.
    Process(Arc<IscsiTarget>),
}

impl Exporting {
    /// As ops sees it.
    pub(crate) fn target(&self) -> Arc<dyn Target> {
        match self {
            Self::Kernel(target) => target.clone(),
            Self::Process(target) => target.clone(),
        }
    }
}

pub(crate) fn open_target(config: &Config) -> Exporting {
    let (state_dir, target) = (&config.state_dir, &config.target);
    match target.kind {
        TargetKind::Userspace => {
            let portals = portals(config);
            Exporting::Process(Arc::new(IscsiTarget::new(
                state_dir,
                &target.iqn_prefix,
                portals,
            )))
        }
        TargetKind::Lio => {
            let lio = LioConfig {
                iqn_prefix: target.iqn_prefix.clone(),
                portals: target.portals.clone(),
                saveconfig: target.saveconfig.clone(),
                boot_id: std::fs::read_to_string(BOOT_ID).unwrap_or_default(),
            };
            let tree = Tree::over(Arc::new(Mounted::at(Path::new(configfs::ROOT))));
            Exporting::Kernel(Arc::new(LioTarget::new(lio, tree)))
        }
    }
}

pub(crate) fn portals(config: &Config) -> Vec<String> {
    config
        .target
        .portals
        .iter()
        .map(ToString::to_string)
        .collect()
}

pub(crate) fn open_drivers(config: &Config) -> Result<BTreeMap<String, Arc<dyn Driver>>, RunError> {
    let mut drivers: BTreeMap<String, Arc<dyn Driver>> = BTreeMap::new();
    // One connection to the bus, whatever the number of groups; made when it is first needed.
    let udisks = Udisks::system();
    for backend in &config.backends {
        let opened = open_driver(backend, &config.state_dir, &udisks);
        let driver = opened.map_err(|source| RunError::Backend {
            backend: backend.name.clone(),
            source,
        })?;
        drivers.insert(backend.name.clone(), driver);
    }
    Ok(drivers)
}

/// The engines of the backup stores. None is opened yet: one that cannot be is told of when it is asked for something.
pub(crate) fn backup_engines(config: &Config) -> BTreeMap<String, Arc<dyn BackupEngine>> {
    let engine = |store: &BackupStore| -> Arc<dyn BackupEngine> {
        match store.kind {
            StoreKind::Restic => Arc::new(restic::open(restic::Settings {
                name: store.name.clone(),
                directory: store.directory.clone(),
                password_file: store.password_file.clone(),
                state_dir: config.state_dir.clone(),
                bytes_per_s: store.bytes_per_s,
                keep_deleted: restic::Settings::KEEP_DELETED,
            })),
            StoreKind::Cinder => Arc::new(cinder::open(cinder::Settings {
                name: store.name.clone(),
                directory: store.directory.clone(),
                state_dir: config.state_dir.clone(),
                bytes_per_s: store.bytes_per_s,
            })),
            StoreKind::Fake => Arc::new(FakeEngine::new(&store.name, &store.directory)),
        }
    };
    let stores = config.backup_stores.iter();
    stores
        .map(|store| (store.name.clone(), engine(store)))
        .collect()
}

fn open_driver(
    backend: &Backend,
    state_dir: &Path,
    udisks: &Udisks,
) -> Result<Arc<dyn Driver>, BackendError> {
    match &backend.driver {
        DriverConfig::File {
            pool,
            directory,
            secure_delete,
            wipe_bytes_per_s,
        } => Ok(Arc::new(FileDriver::open(FileConfig {
            backend: backend.name.clone(),
            pool: pool.clone(),
            directory: directory.clone(),
            memory: state_dir.join(format!("pool-{}.id", backend.name)),
            secure_delete: match secure_delete {
                SecureDelete::Zero => file::SecureDelete::Zero,
                SecureDelete::None => file::SecureDelete::None,
            },
            wipe_bytes_per_s: *wipe_bytes_per_s,
            reserved_percentage: backend.reserved_percentage,
            max_over_subscription_ratio: backend.max_over_subscription_ratio,
            reflink: Reflink::WhenPossible,
        })?)),
        DriverConfig::Fake {
            pool,
            directory,
            faults,
        } => {
            let faults = fake::Faults::parse(faults)?;
            Ok(Arc::new(FakeDriver::in_directory(
                directory,
                &backend.name,
                pool,
                faults,
            )?))
        }
        DriverConfig::Lvm { .. } => {
            let owner = owner(state_dir)?;
            let config = lvm_config(backend, owner);
            let programs = Arc::new(cmd::OfThisMachine);
            Ok(Arc::new(LvmDriver::new(config, udisks.clone(), programs)))
        }
    }
}

fn lvm_config(backend: &Backend, owner: String) -> LvmConfig {
    let mut config = LvmConfig {
        backend: backend.name.clone(),
        reserved_percentage: backend.reserved_percentage,
        max_over_subscription_ratio: backend.max_over_subscription_ratio,
        owner,
        devices: PathBuf::from("/dev"),
        ..LvmConfig::default()
    };
    if let DriverConfig::Lvm {
        volume_group,
        thin_pool,
        thin_pool_percent,
        secure_delete,
        wipe_bytes_per_s,
        data_full_percent,
        metadata_full_percent,
        snapshot_percent,
    } = &backend.driver
    {
        config.volume_group.clone_from(volume_group);
        config.thin_pool.clone_from(thin_pool);
        config.thin_pool_percent = *thin_pool_percent;
        config.secure_delete = *secure_delete == SecureDelete::Zero;
        config.wipe_bytes_per_s = *wipe_bytes_per_s;
        config.data_full_percent = *data_full_percent;
        config.metadata_full_percent = *metadata_full_percent;
        config.snapshot_percent = *snapshot_percent;
    }
    config
}

/// The name of this state directory's daemon on volume groups: random, and the same for ever.
fn owner(state_dir: &Path) -> io::Result<String> {
    let path = state_dir.join("owner.id");
    match std::fs::read_to_string(&path) {
        Ok(id) if id.trim().parse::<uuid::Uuid>().is_ok() => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A crash while it was first written: no group has it yet.
        Ok(_) | Err(_) => {}
    }
    let id = uuid::Uuid::new_v4().to_string();
    let beside = state_dir.join("owner.id.new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    std::fs::File::open(state_dir)?.sync_all()?;
    Ok(id)
}
