//! A folder that is asked once more for what a guest had asked for: so that it has the same files open.

use super::Folder;
use super::message::{Request, kind};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// A folder on the way to where a guest's requests have left it.
pub(crate) struct Again {
    folder: Folder,
    /// What the guest holds, by its names for files (fids), and the folder does not have any more.
    lost: Mutex<BTreeMap<u32, String>>,
}

impl Again {
    pub(crate) fn new(folder: Folder) -> Self {
        Self { folder, lost: Mutex::default() }
    }

    /// The guest's next request, and the reply that it had got.
    pub(crate) fn ask(&self, request: &[u8], reply: &[u8]) {
        let again = self.folder.answer(request);
        let Some(mut request) = Request::new(request) else { return };
        let succeeded = |reply: &[u8]| reply.get(4) == Some(&request.kind.wrapping_add(1));
        let (was, is) = (succeeded(reply), succeeded(&again));
        let mut lost = self.lost.lock();
        match request.kind {
            kind::VERSION => lost.clear(),
            kind::CLUNK | kind::REMOVE => drop(request.u32().map(|fid| lost.remove(&fid))),
            // Replies to a walk say how far it came, in their length.
            kind::WALK if was && (!is || again.len() < reply.len()) => {
                if let Ok((fid, what)) = walked(&mut request) {
                    lost.insert(fid, what);
                }
            }
            kind::ATTACH | kind::LOPEN if was && !is => {
                if let Ok(fid) = request.u32() {
                    lost.entry(fid).or_insert_with(|| "a file that the guest has open".into());
                }
            }
            _ => {}
        }
    }

    /// The folder, with all files open that the guest has open.
    ///
    /// # Errors
    /// In words, where it does not have them all any more.
    pub(crate) fn finish(self) -> Result<Folder, String> {
        match self.lost.into_inner().into_values().next() {
            None => Ok(self.folder),
            Some(what) => Err(what),
        }
    }
}

/// The new name that a walk gives, and the path that it walks.
fn walked(request: &mut Request<'_>) -> Result<(u32, String), rustix::io::Errno> {
    let (_, new, names) = (request.u32()?, request.u32()?, request.u16()?);
    let names = (0..names).map(|_| request.text()).collect::<Result<Vec<_>, _>>()?;
    Ok((new, format!("'{}'", String::from_utf8_lossy(&names.join(&b'/')))))
}
