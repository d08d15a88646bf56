<?php
// What Hotcold.php promises: `php test.php DIRECTORY`, where there is no store yet.
declare(strict_types=1);

require __DIR__ . '/Hotcold.php';

use Hotcold\{Exception, Library, Store};

error_reporting(E_ALL);
$ffi = Library::get();
$path = $argv[1];

function check(bool $holds): void
{
    if (!$holds) {
        throw new LogicException('does not hold');
    }
}

function fails(int $status, callable $call): Exception
{
    try {
        $call();
    } catch (Exception $e) {
        check($e->getCode() === $status);
        return $e;
    }
    throw new LogicException("did not fail with $status");
}

$store = new Store($path, ['storage_id' => 'php', 'hot_capacity' => 1 << 20, 'warm_start' => false]);
$events = $store->events($ffi->HOTCOLD_EVENT_ITEM_STORED);

// Stored and retrieved, both ways.
$store->store('user:1', 'Ada');
$store->store('user:2', "Gr\0ace", 3600000);
$store->store('other', '');
check($store->retrieve('user:1') === 'Ada' && $store->retrieve('user:2') === "Gr\0ace");
check($store->retrieve('other') === '' && $store->retrieve('absent') === null);
$buffer = $ffi->new('uint8_t[16]');
check(FFI::string($buffer, $store->retrieveInto('user:2', $buffer)) === "Gr\0ace");
check($store->retrieveInto('absent', $buffer) === null);
$small = $ffi->new('uint8_t[2]');
fails($ffi->HOTCOLD_BUFFER_TOO_SMALL, fn () => $store->retrieveInto('user:2', $small));
check($store->contains('user:1') && !$store->contains('absent'));

// Iterated.
$keys = iterator_to_array($store->keys('user:'));
sort($keys);
check($keys === ['user:1', 'user:2']);
check(iterator_count($store->keys()) === 3);

// Told of what happened.
$event = $events->next(1000);
check($event->kind === $ffi->HOTCOLD_EVENT_ITEM_STORED && $event->key === 'user:1');
check($event->value === 'Ada' && $event->storageId === 'php' && $event->message === null);
check($events->next()->key === 'user:2' && $events->next()->value === '');
check($events->next() === null && $events->dropped() === 0);
foreach ([$events, $store] as $owner) {
    try {
        clone $owner;
        check(false);
    } catch (Error) { // it would be closed twice
    }
}

$store->store('late', 'x', -5); // is over, and not for ever
usleep(20000);
check(!$store->contains('late'));

// Errors have a number, a name and words.
$e = fails($ffi->HOTCOLD_LOCKED, fn () => new Store($path));
check(str_starts_with($e->getMessage(), 'HOTCOLD_LOCKED: ') && str_contains($e->getMessage(), $path));
$e = fails($ffi->HOTCOLD_INVALID_ARGUMENT, fn () => new Store($path, ['hot_capactiy' => 1]));
check(str_contains($e->getMessage(), 'hot_capactiy'));

// Deleted, closed, and found again.
check($store->delete('other') && !$store->delete('other'));
check($store->stats()['operations']['delete']['operations'] === 2);
$store->compact();
$store->sync();
$keys = $store->keys();
check($keys->valid());
$store->close();
fails($ffi->HOTCOLD_MISUSE, fn () => $store->retrieve('user:1'));
fails($ffi->HOTCOLD_MISUSE, fn () => $keys->next());
fails($ffi->HOTCOLD_MISUSE, fn () => $store->close());
(fn () => (new Store($path))->keys()->current())(); // left open
$store = new Store($path);
check($store->retrieve('user:2') === "Gr\0ace" && $store->retrieve('other') === null);
$store->clear();
check($store->retrieve('user:1') === null);
check($store->stats()['memory']['held'] === 0); // every value was given back
$store->close();
echo "ok\n";
