//! Batches: many stores and deletes that take effect together or not at all.
//!
//! A batch goes through the same steps as one change ([`super::commit`]), for all its keys at once.
//! Stripes and shards are locked in ascending order. Of a key that occurs more than once the last
//! change counts.

use super::commit::check_value;
use super::events::{Event, EventKind};
use super::op::{Op, Ops};
use super::reporting::Effects;
use super::write::StoreOptions;
use super::writer::Writer;
use crate::cold::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_BYTES_MAX, KEY_BYTES_MAX};
use crate::memory;
use std::collections::HashMap;

/// Stores and deletes, in order, to be written together.
#[derive(Default)]
pub struct Batch {
    ops: Vec<BatchOp>,
    bytes: u64,
}

struct BatchOp {
    key: Vec<u8>,
    /// `None` to delete.
    value: Option<Vec<u8>>,
    options: StoreOptions,
}

/// The last change of each key, each with what the store asks of it.
type FinalOps<'b> = (Vec<Change<'b>>, Vec<Op<'b>>);

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a store; key and value are copied.
    ///
    /// # Errors
    /// `TooLarge` for the key, the value or the batch; `OutOfMemory`. The batch is as before.
    pub fn store(&mut self, key: &[u8], value: &[u8], options: &StoreOptions) -> Result<()> {
        let value = memory::copy(check_value(value)?, "a value of a batch")?;
        self.add(key, Some(value), *options)
    }

    /// Adds a delete; the key is copied.
    ///
    /// # Errors
    /// As [`Batch::store`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.add(key, None, StoreOptions::default())
    }

    fn add(&mut self, key: &[u8], value: Option<Vec<u8>>, options: StoreOptions) -> Result<()> {
        let bytes = self.bytes + (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
        if key.len() > KEY_BYTES_MAX || bytes > BATCH_BYTES_MAX {
            let sentence = format!(
                "a key may have {KEY_BYTES_MAX} bytes and a batch {BATCH_BYTES_MAX}; this key has \
                 {} and the batch would have {bytes}",
                key.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, sentence));
        }
        let key = memory::copy(key, "a key of a batch")?;
        memory::push(&mut self.ops, BatchOp { key, value, options }, "a batch")?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Writer<'_> {
    /// Applies a batch; `false`, and nothing is done, if a condition in it is not met.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`, `TooLarge`, `OutOfMemory`: nothing is done.
    pub fn write(&self, batch: &Batch, sync: bool) -> Result<bool> {
        self.health.check_writable()?;
        let Some((mut changes, mut ops)) = self.final_ops(batch)? else { return Ok(false) };
        let sync = sync || batch.ops.iter().any(|op| op.options.sync);
        let mut effects = Effects::default();
        let committed = match ops.is_empty() {
            true => Ok(None),
            false => {
                let ops = Ops { changes: &mut changes, ops: &mut ops };
                self.commit(ops, sync, &mut effects)
            }
        };
        self.reporting.finish(effects);
        if committed?.is_some() {
            return Ok(false);
        }
        changes.iter().zip(&ops).for_each(|(change, op)| self.tell_change(change, op));
        Ok(true)
    }

    /// The last change of each key, with the condition of its first; `None` if an earlier change of
    /// the same batch makes a condition impossible.
    fn final_ops<'b>(&self, batch: &'b Batch) -> Result<Option<FinalOps<'b>>> {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let (mut changes, mut ops): FinalOps<'b> = (Vec::new(), Vec::new());
        let (count, what) = (batch.ops.len(), "the changes of a batch");
        memory::grow(&mut changes, count, what)?;
        memory::grow(&mut ops, count, what)?;
        let bytes = count * size_of::<(&[u8], usize)>();
        places.try_reserve(count).map_err(|_| memory::exhausted(bytes, what))?;
        for BatchOp { key, value, options } in &batch.ops {
            let expires_at = self.tiers.expiry_after(options.ttl_ms);
            let place = *places.entry(key).or_insert(ops.len());
            let StoreOptions { if_version, cold_only, .. } = *options;
            if let (Some(earlier), Some(op)) = (changes.get_mut(place), ops.get_mut(place)) {
                let is_absent = earlier.value.is_none();
                if if_version.is_some_and(|wanted| !(is_absent && wanted == 0)) {
                    return Ok(None);
                }
                earlier.value = value.as_deref();
                earlier.expires_at = expires_at;
                op.cold_only = cold_only;
                continue;
            }
            changes.push(Change::new(self.tiers.key(key)?, value.as_deref(), expires_at));
            ops.push(Op { if_version, cold_only, ..Op::default() });
        }
        Ok(Some((changes, ops)))
    }

    fn tell_change(&self, change: &Change<'_>, op: &Op<'_>) {
        let kind = match change.value {
            Some(_) => EventKind::ItemStored,
            None if op.existed => EventKind::ItemDeleted,
            None => return,
        };
        self.reporting.events().emit(&Event {
            key: change.key.bytes(),
            value: change.value,
            version: change.version,
            expires_at: change.expires_at,
            ..Event::of(kind)
        });
    }
}
