/*
 * People in front of the web page, in Debian's Chromium. Screenshots go to
 * build/page-*.png.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {chromium} = require('playwright-core');
const {ROOT, soon, until} = require('./daemon.js');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];

/* A wire to the daemon that can be cut, or held: nothing passes, and nobody is
 * told: {port, made, cut(), hold(), mend(), close()}; made: connections ever. */
async function wire(to) {
	const pairs = new Set();
	let whole = true, made = 0;
	const server = net.createServer((client) => {
		if (!whole)
			return client.destroy();
		made++;
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
		get made() {
			return made;
		},
		hold: () => {
			for (const pair of pairs)
				pair.forEach((e) => e.unpipe().pause());
		},
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
				if (!options.broken || !/WebSocket connection to|the server responded with a status of 401/
				    .test(line.text()))
					complaints.push(`${name}: ${line.text()}`);
			});
			await page.goto(`${options.scheme ?? 'http'}://` +
			    `127.0.0.1:${port}/` +
			    (options.fragment ?? ''));
			if (options.welcome)
				return page;
			await page.fill('#name', name);
			await page.press('#name', 'Enter');
			if (!options.alone)
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
	await soon(async () => {
		seen = await texts(page);
		return seen.length >= expected.length &&
		    !await page.$('.message.sending');
	}, 30000);
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

module.exports = {FLAGS, accessible, browse, connected, numbered, picture, publish,
    say, shows, texts, wire};
