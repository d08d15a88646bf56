// What hotcold.js promises: `node --expose-gc test.js DIRECTORY`, where there is no store yet.
'use strict';

const assert = require('node:assert/strict');
const { Store, HotcoldError, Status, Events } = require('./hotcold.js');
const path = process.argv[2];

function fails(status, work) {
  let error;
  assert.throws(work, (e) => (error = e) instanceof HotcoldError);
  assert.equal(error.status, status);
  return error;
}

/** Runs something, and what it has left behind is collected. */
async function collected(work) {
  work();
  for (let i = 0; i < 3; i++) {
    await new Promise((done) => setTimeout(done, 20));
    globalThis.gc();
  }
  await new Promise((done) => setTimeout(done, 20));
}

async function main() {
  let store = new Store(path, { storage_id: 'node', hot_capacity: 1 << 20, warm_start: false });
  const events = store.events(Events.ITEM_STORED);
  const early = events.next(60000); // waits on another thread, and stops none here

  // Stored and retrieved, both ways.
  store.store('user:1', 'Ada');
  store.store('user:2', Uint8Array.from([71, 0, 255]), { ttl: 3600000 });
  store.store('other', '');
  assert.equal(store.retrieve('user:1').toString(), 'Ada');
  assert.deepEqual([...store.retrieve(Buffer.from('user:2'))], [71, 0, 255]);
  assert.equal(store.retrieve('other').length, 0);
  assert.equal(store.retrieve('absent'), null);
  const buffer = Buffer.alloc(16);
  assert.equal(store.retrieveInto('user:2', buffer), 3);
  assert.deepEqual([...buffer.subarray(0, 4)], [71, 0, 255, 0]);
  assert.equal(store.retrieveInto('absent', buffer), null);
  fails(Status.BUFFER_TOO_SMALL, () => store.retrieveInto('user:2', Buffer.alloc(2)));
  assert(store.contains('user:1') && !store.contains('absent'));

  // Iterated.
  assert.deepEqual([...store.keys('user:')].map(String).sort(), ['user:1', 'user:2']);
  assert.equal([...store.keys()].length, 3);

  // Told of what happened.
  const event = await early;
  assert.equal(event.kind, Events.ITEM_STORED);
  assert.equal(event.key.toString() + event.value.toString(), 'user:1Ada');
  assert(event.storageId === 'node' && event.version > 0n && event.message === null);
  assert.equal((await events.next()).key.toString(), 'user:2');
  assert.equal((await events.next()).value.length, 0);
  assert.equal(await events.next(), null);
  assert.equal(events.dropped, 0);
  await events.close();
  await events.close();
  await assert.rejects(events.next(), HotcoldError);

  store.store('late', 'x', { ttl: -5 }); // is over, and not for ever
  store.store('short', Uint16Array.of(1, 2), { ttl: 0.5 });
  await new Promise((done) => setTimeout(done, 20));
  assert(!store.contains('late') && !store.contains('short'));
  assert.throws(() => store.retrieve(7), TypeError);

  // Errors have a number, a name and words.
  let error = fails(Status.LOCKED, () => new Store(path));
  assert(error.code === 'HOTCOLD_LOCKED' && error.message.includes(path), error.message);
  error = fails(Status.INVALID_ARGUMENT, () => new Store(path, { hot_capactiy: 1 }));
  assert(error.message.includes('hot_capactiy'));

  // Deleted, closed, and found again.
  assert(store.delete('other') && !store.delete('other'));
  assert.equal(store.stats().operations.delete.operations, 2);
  store.compact();
  store.sync();
  const keys = store.keys();
  assert(!keys.next().done);
  store.close();
  fails(Status.MISUSE, () => store.retrieve('user:1'));
  fails(Status.MISUSE, () => keys.next());
  fails(Status.MISUSE, () => store.close());
  await collected(() => void new Store(path).keys().next()); // left open
  store = new Store(path);
  assert.deepEqual([...store.retrieve('user:2')], [71, 0, 255]);
  store.clear();
  assert.equal(store.retrieve('user:1'), null);
  assert.equal(store.stats().memory.held, 0); // every value was given back
  store.close();
  console.log('ok');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
