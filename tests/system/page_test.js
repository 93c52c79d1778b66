/*
 * The web page in Debian's Chromium: people who talk, a network that breaks,
 * workers that are killed. Screenshots go to build/page-*.png.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {chromium} = require('playwright-core');
const {ROOT, until} = require('./daemon.js');
const {group} = require('./suite.js');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
const SLOW = {limit: 60000}; /* browsers are, on a busy machine */
const PHONE = {viewport: {width: 390, height: 844}, isMobile: true,
    hasTouch: true, deviceScaleFactor: 2};

/* A wire to the daemon that can be cut: {port, cut(), mend(), close()}. */
async function wire(to) {
	const pairs = new Set();
	let whole = true;
	const server = net.createServer((client) => {
		if (!whole)
			return client.destroy();
		const daemon = net.connect(to, '127.0.0.1');
		const pair = [client, daemon];
		pairs.add(pair);
		client.pipe(daemon).pipe(client);
		for (const end of pair)
			end.on('error', () => {}).on('close', () => {
				pairs.delete(pair);
				pair.forEach((e) => e.destroy());
			});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const cut = () => {
		whole = false;
		for (const pair of pairs)
			pair.forEach((e) => e.destroy());
	};
	return {
		port: server.address().port, cut,
		mend: () => whole = true,
		close: () => (cut(), server.close())
	};
}

let browser; /* one for all tests; playwright ends it when we leave */

/*
 * Runs body with a browser: open(name, port, options) is a person on the page
 * of that name. At its end every console must have stayed clean; while the
 * network is cut on purpose the browser's own complaints are not the page's.
 */
async function browse(body) {
	browser ??= await chromium.launch({executablePath: '/usr/bin/chromium',
	    args: FLAGS});
	const complaints = [];
	try {
		await body(async (name, port, options = {}) => {
			const context = await browser.newContext({locale: 'en-GB',
			    viewport: {width: 1280, height: 800}, ...options});
			const page = await context.newPage();
			page.setDefaultTimeout(10000);
			page.on('pageerror', (error) =>
			    complaints.push(`${name}: ${error.stack}`));
			page.on('console', (line) => {
				if (!options.broken ||
				    !/WebSocket connection to/.test(line.text()))
					complaints.push(`${name}: ${line.text()}`);
			});
			await page.goto(`http://127.0.0.1:${port}/`);
			if (options.welcome)
				return page;
			await page.fill('#name', name);
			await page.press('#name', 'Enter');
			await connected(page);
			return page;
		});
		assert.deepEqual(complaints, []);
	} finally {
		await Promise.all(browser.contexts().map((c) => c.close()));
	}
}

/* Waits until a page says that it is connected, and is in its rooms. */
async function connected(page) {
	await page.waitForSelector('#state.connected', {state: 'attached'});
	await page.waitForFunction(() =>
	    document.querySelector('#subtitle').textContent);
}

/* Writes a message in the open conversation. */
async function say(page, text) {
	await page.fill('#text', text);
	await page.press('#text', 'Enter');
}

/* The texts that a page shows, from top to bottom. */
function texts(page) {
	return page.$$eval('.message .said', (all) =>
	    all.map((e) => e.textContent));
}

/* Waits until a page shows exactly these texts. */
async function shows(page, expected) {
	let seen;
	await until('the messages', async () => {
		seen = await texts(page);
		return seen.length >= expected.length &&
		    !await page.$('.message.sending');
	}, 15000).catch(() => {});
	assert.deepEqual(seen, expected);
}

/* axe-core finds nothing on the page as it stands. */
async function accessible(page, what) {
	await page.evaluate(AXE);
	const {violations} = await page.evaluate(() => axe.run(document,
	    {resultTypes: ['violations']}));
	assert.deepEqual(violations.map((v) => `${what}: ${v.id}: ` +
	    v.nodes.map((n) => n.html).join(' ')), []);
}

/* Keeps a picture for people to look at. */
function picture(page, name) {
	const dir = path.join(ROOT, 'build');
	fs.mkdirSync(dir, {recursive: true});
	return page.screenshot({path: path.join(dir, `page-${name}.png`)});
}

/* Publishes with the page's own client module, under another name. */
function publish(page, user, channel, list) {
	return page.evaluate(async ([name, room, lines]) => {
		const {Client} = await import('/chatd.js');
		await new Promise((resolve, reject) => {
			const client = new Client(Client.address(name), {
				subscribed: async (which) => {
					if (which !== room)
						return;
					await Promise.all(lines.map((text) =>
					    client.publish(room, {text}))).catch(reject);
					client.close();
					resolve();
				}
			});
			client.connect();
			client.subscribe(room);
		});
	}, [user, channel, list]);
}

const numbered = (word, n, from = 1) =>
    Array.from({length: n}, (_, i) => `${word} ${i + from}`);

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
			await until('his own message has arrived', async () =>
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
