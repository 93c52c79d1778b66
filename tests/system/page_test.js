/*
 * The web page in a browser: people who talk, a network that breaks, workers
 * that are killed.
 */
'use strict';

const assert = require('node:assert/strict');
const {until} = require('./daemon.js');
const {group} = require('./suite.js');
const {accessible, browse, connected, numbered, picture, publish, say, shows,
    texts, wire} = require('./page.js');
const {Line, SECRET, token} = require('./centrifugo.js');

const SLOW = {limit: 60000}; /* browsers are, on a busy machine */
const PHONE = {viewport: {width: 390, height: 844}, isMobile: true,
    hasTouch: true, deviceScaleFactor: 2};

group('page', {workers: 2}, (test) => {
	test('two people talk in the lobby, a room and private', (d) =>
	    browse(async (open) => {
		const stranger = await open('', d.port, {welcome: true});
		await accessible(stranger, 'welcome');
		await picture(stranger, 'welcome');
		await stranger.close();

		const alice = await open('Alice', d.port);
		const bob = await open('Bob B', d.port, {...PHONE});
		await say(alice, 'Good morning! Is the new build up?');
		await shows(bob, ['Good morning! Is the new build up?']);
		await say(bob, 'It is. I killed two workers while you were ' +
		    'asleep, and nobody noticed.');
		await bob.fill('#text', 'Not even\nthe load generator <b>');
		await bob.click('#compose button');
		const lobby = ['Good morning! Is the new build up?',
		    'It is. I killed two workers while you were asleep, and ' +
		    'nobody noticed.', 'Not even\nthe load generator <b>'];
		await shows(alice, lobby);
		await shows(bob, lobby);
		assert.match(await bob.textContent('.own .when'), /✓/);
		await picture(bob, 'phone');

		await alice.fill('#room', 'design');
		await alice.press('#room', 'Enter');
		await shows(alice, []);
		await accessible(alice, 'an empty room');
		await bob.click('#back');
		await bob.fill('#room', 'design');
		await bob.press('#room', 'Enter');
		await say(alice, 'Warm paper, one green');
		await say(bob, 'and nothing that blinks');
		await shows(alice, ['Warm paper, one green',
		    'and nothing that blinks']);

		await alice.click('.place:has-text("lobby")');
		await bob.click('button.from:has-text("Alice")');
		await say(bob, 'psst: cake in the kitchen');
		await alice.waitForSelector('#private .badge');
		assert.match(await alice.title(), /^\(1\) /);
		await accessible(alice, 'light');
		await alice.click('#private .place');
		await shows(alice, ['psst: cake in the kitchen']);
		await say(alice, 'on my way');
		await shows(bob, ['psst: cake in the kitchen', 'on my way']);
		assert.equal(await alice.$('#private .badge'), null);
		assert.deepEqual(await alice.$$eval('.fresh', (e) => e.length), 1);
		await accessible(bob, 'phone, private');
		await bob.click('#back');
		await accessible(bob, 'phone, places');
		await picture(bob, 'phone-places');
		await bob.click('.place:has-text("lobby")');
		await bob.click('#show-people');
		await bob.waitForSelector('#present button');
		await accessible(bob, 'phone, people');
		await shows(alice, ['psst: cake in the kitchen', 'on my way']);

		/* Another visit knows name, rooms, history, what was read. */
		await alice.reload();
		await connected(alice);
		await shows(alice, lobby);
		await alice.click('#private .place');
		await shows(alice, ['psst: cake in the kitchen', 'on my way']);
		await alice.click('.place:has-text("lobby")');
		await alice.waitForSelector('#present button');
		assert.equal(await alice.$('.badge:not([hidden])'), null);
		await picture(alice, 'light');
		await alice.emulateMedia({colorScheme: 'dark'});
		await accessible(alice, 'dark');
		await picture(alice, 'dark');
	}), SLOW);

	test('who was cut off has what he missed once and in order', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			const alice = await open('alice', d.port);
			const bob = await open('bob', line.port, {broken: true});
			for (const page of [alice, bob]) {
				await page.fill('#room', 'cut');
				await page.press('#room', 'Enter');
			}
			await say(alice, 'before');
			await shows(bob, ['before']);
			line.cut();
			await bob.waitForSelector('#status:not(.unseen)');
			assert.match(await bob.textContent('#status'), /trying again/);
			await say(bob, 'written without a network');
			await picture(bob, 'offline');
			for (const text of numbered('missed', 20))
				await say(alice, text);
			await shows(alice, ['before', ...numbered('missed', 20)]);
			line.mend();
			await bob.evaluate(() => dispatchEvent(new Event('online')));
			await connected(bob);
			await say(alice, 'after');
			await until('bob is back', async () =>
			    (await texts(bob)).includes('after'), 20000);
			const all = await texts(bob);
			assert.deepEqual(all.filter((t) => !/^written/.test(t)),
			    ['before', ...numbered('missed', 20), 'after']);
			await until('the own message has arrived', async () =>
			    (await texts(alice)).includes('written without a network'));
			await shows(bob, await texts(alice));
		} finally {
			line.close();
		}
	}), SLOW);

	test('history on scrolling back; Enter while composing', (d) =>
	    browse(async (open) => {
		const alice = await open('alice', d.port);
		await publish(alice, 'bob', 'past', numbered('old', 90));
		await alice.fill('#room', 'past');
		await alice.press('#room', 'Enter');
		await shows(alice, numbered('old', 50, 41));
		await alice.hover('#log');
		await alice.evaluate(() => document.getElementById('log')
		    .scrollTop = 0);
		await shows(alice, numbered('old', 90));
		assert.ok(await alice.evaluate(() =>
		    document.getElementById('log').scrollTop) > 500,
		    'the view jumped to the top');
		await publish(alice, 'bob', 'past', ['new']);
		await alice.click('#latest');
		await shows(alice, [...numbered('old', 90), 'new']);

		await alice.fill('#text', 'kana');
		await alice.evaluate(() => document.getElementById('text')
		    .dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter',
		    isComposing: true, bubbles: true, cancelable: true})));
		await alice.press('#text', 'Shift+Enter');
		assert.equal(await alice.inputValue('#text'), 'kana\n');
		assert.equal((await texts(alice)).length, 91);
	}), SLOW);
});

group('page and the server', {workers: 1, conf: 'insecure yes\n' +
    `token-key "${SECRET}"\n`}, (test) => {
	test('only the server is *server*', (d) => browse(async (open) => {
		const alice = await open('alice', d.port);
		const liar = await Line.connected(d, '',
		    {token: token({sub: '*server*'})});
		await liar.ask('subscribe', {channel: 'lobby'});
		await liar.ask('publish',
		    {channel: 'lobby', data: {text: 'believe me'}});
		await shows(alice, ['believe me']);
		await d.ctl('say', 'hello');
		await shows(alice, ['believe me', 'hello']);
		assert.deepEqual(await alice.$$eval('span.from', (all) =>
		    all.map((e) => e.textContent)), ['"*server*"', '*server*']);
	}), SLOW);
});

group('page and odd names', {workers: 1, conf: 'insecure yes\n' +
    `token-key "${SECRET}"\n`}, (test) => {
	test('what cannot be seen is shown', (d) => browse(async (open) => {
		const odd = {'\u202ebob': '\\u{202e}bob', 'a\u200b': 'a\\u{200b}',
		    'a\u00a0b': 'a\\u{a0}b', '\u{1f469}\u200d\u{1f4bb}': null,
		    'نامه\u200cای': null, 'क्\u200dष': null, '\u2764\ufe0f': null};
		const alice = await open('alice', d.port);
		for (const sub of Object.keys(odd)) {
			const l = await Line.connected(d, '',
			    {token: token({sub})});
			await l.ask('subscribe', {channel: 'lobby'});
			await l.ask('publish',
			    {channel: 'lobby', data: {text: 'hi'}});
		}
		await shows(alice, Object.keys(odd).map(() => 'hi'));
		const names = Object.entries(odd).map(([sub, seen]) => seen ?? sub);
		assert.deepEqual(await alice.$$eval('button.from', (all) =>
		    all.map((e) => e.textContent)), names);
		await alice.reload();
		await connected(alice);
		await alice.click('#show-people[aria-expanded=false]')
		    .catch(() => {});
		await alice.waitForFunction((n) =>
		    document.querySelectorAll('#present .name').length > n,
		    names.length);
		const here = await alice.$$eval('#present .name', (all) =>
		    all.map((e) => e.textContent));
		for (const name of names)
			assert.ok(here.includes(name), name);
	}), SLOW);

	test('a name that would be refused is not sent', (d) =>
	    browse(async (open) => {
		const page = await open('', d.port, {welcome: true});
		await page.fill('#name', 'bob\u200b');
		await page.press('#name', 'Enter');
		assert.match(await page.$eval('#name', (e) =>
		    e.validationMessage), /cannot be seen/);
		await page.fill('#name', 'a\u0308rger'); /* NFC of it is good */
		await page.press('#name', 'Enter');
		await connected(page);
		const [user] = await d.json('show', 'users');
		assert.equal(user.user, 'ärger');
	}), SLOW);
});

group('page and crashes', {workers: 4}, (test) => {
	test('workers are killed while people talk', (d) =>
	    browse(async (open) => {
		const alice = await open('alice', d.port, {broken: true});
		const bob = await open('bob', d.port, {broken: true});
		for (const page of [alice, bob]) {
			await page.fill('#room', 'storm');
			await page.press('#room', 'Enter');
		}
		for (const [i, worker] of (await d.json('show', 'workers'))
		    .entries()) {
			await say(alice, `alice ${i}`);
			await say(bob, `bob ${i}`);
			process.kill(worker.pid, 'SIGKILL');
			await say(alice, `alice ${i} again`);
			await until('the worker is replaced', async () =>
			    (await d.json('show', 'workers')).every((w) =>
			    w.pid !== worker.pid && w.pid > 0), 10000);
		}
		const all = 3 * 4;
		await until('every message has come', async () =>
		    (await texts(alice)).length >= all &&
		    (await texts(bob)).length >= all &&
		    !await alice.$('.sending') && !await bob.$('.sending'), 20000)
		    .catch(() => {});
		const seen = await texts(alice);
		assert.deepEqual(await texts(bob), seen);
		assert.deepEqual(seen.filter((t) => /^alice/.test(t)),
		    [0, 1, 2, 3].flatMap((i) => [`alice ${i}`,
		    `alice ${i} again`]));
		assert.deepEqual(seen.filter((t) => /^bob/.test(t)),
		    [0, 1, 2, 3].map((i) => `bob ${i}`));
	}), SLOW);
});
