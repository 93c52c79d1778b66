/*
 * The web page when something is wrong: a text that is too long, a token that
 * is missing or has ended, a line that is dead, a server that hangs up.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const {until, pause} = require('./daemon.js');
const {group} = require('./suite.js');
const {token, TOKENS} = require('./centrifugo.js');
const {browse, connected, numbered, publish, say, shows, texts,
    wire} = require('./page.js');

const SLOW = {limit: 60000};
const SIZE = 1024;

/* What the page says about its connection; '' if nothing. */
function status(page) {
	return page.$eval('#status', (e) => e.className === 'unseen' ? '' :
	    e.textContent);
}

/* Waits until the page says something like that about its connection. */
function says(page, pattern, ms = 15000) {
	return until(String(pattern), async () =>
	    pattern.test(await status(page)), ms);
}

/* Opens the page of a name in a room of its own. */
async function inRoom(open, name, room, ...more) {
	const page = await open(name, ...more);
	await page.fill('#room', room);
	await page.press('#room', 'Enter');
	return page;
}

group('page: a text', {workers: 2, conf: `message-size ${SIZE}\n`}, (test) => {
	test('that is too long is not sent, and the page says both sizes', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			for (const phone of [false, true]) {
				const page = await open(`alice${phone}`, line.port, phone ?
				    {viewport: {width: 390, height: 844}} : {});
				const before = line.made;
				const text = 'ä'.repeat(SIZE / 2);
				await say(page, text);
				await page.waitForSelector('#hint.wrong');
				const size = JSON.stringify({id: 101, publish:
				    {channel: 'lobby', data: {text}}}).length + SIZE / 2;
				const hint = await page.textContent('#hint');
				assert.match(hint, RegExp(`${size.toLocaleString('en')} bytes`));
				assert.match(hint, /1,024 bytes/);
				assert.equal(await page.inputValue('#text'), text);
				await page.fill('#text', 'short');
				assert.match(await page.textContent('#hint'), /^Enter sends/);
				await page.press('#text', 'Enter');
				await until('it is sent', async () =>
				    (await texts(page)).at(-1) === 'short');
				assert.equal(line.made, before);
				await page.close();
			}
		} finally {
			line.close();
		}
	}), SLOW);

	test('and many that are too long together go in several frames', (d) =>
	    browse(async (open) => {
		const alice = await inRoom(open, 'alice', 'many', d.port);
		await publish(alice, 'bob', 'many',
		    numbered('x'.repeat(300), 9));
		await shows(alice, numbered('x'.repeat(300), 9));
	}), SLOW);

	test('that the server closes for is marked, not sent again', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			const page = await inRoom(open, 'carol', 'closed', line.port,
			    {broken: true});
			fs.writeFileSync(path.join(d.dir, 'chatd.conf'), fs
			    .readFileSync(path.join(d.dir, 'chatd.conf'), 'utf8')
			    .replace(`message-size ${SIZE}`, 'message-size 512'));
			await d.ctl('reload');
			const before = line.made;
			await say(page, 'y'.repeat(600));
			await page.waitForSelector('.message .again');
			assert.match(await page.textContent('.message.own .when'),
			    /server ended the connection/);
			await connected(page);
			await say(page, 'goes on');
			await until('both are there', async () =>
			    (await texts(page)).join() === `goes on,${'y'.repeat(600)}` &&
			    /✓/.test(await page.textContent('.own .when')));
			assert.equal(line.made, before + 1);
			await page.waitForSelector('.message .again');
		} finally {
			line.close();
		}
	}), SLOW);
});

group('page: tokens', {workers: 2, conf: TOKENS}, (test) => {
	test('who comes without one is told how to bring one', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			const page = await open('alice', line.port,
			    {broken: true, alone: true});
			await says(page, /needs a token.*#token=TOKEN/);
			const made = line.made;
			await pause(2000); /* what is not to come has no event */
			assert.equal(line.made, made);
			assert.match(await page.textContent('#state'), /Not connected/);
		} finally {
			line.close();
		}
	}), SLOW);

	test('one that has ended, or is none, is said so, with a button', (d) =>
	    browse(async (open) => {
		const now = Math.floor(Date.now() / 1000);
		const hash = (claims, ...more) => `#token=${token(claims, ...more)}`;
		for (const [fragment, pattern] of [
		    [hash({sub: 'alice', exp: now - 100}), /token has expired/],
		    [hash({sub: 'alice'}, 'x'.repeat(40)), /not accept your token/]]) {
			const page = await open('', d.port, {welcome: true, fragment});
			await says(page, pattern);
			await page.waitForSelector('#status button:has-text("Try again")');
			await page.close();
		}
		const page = await open('', d.port, {welcome: true,
		    fragment: hash({sub: 'alice', exp: now + 3600})});
		await page.waitForSelector('#state.connected', {state: 'attached'});
		await until('the name', async () =>
		    await page.textContent('#me') === 'alice');
	}), SLOW);
});

group('page: the line', {workers: 2, conf: 'api-key "a key for the tests"\n'},
    (test) => {
	test('nothing is said on the login page', (d) => browse(async (open) => {
		const page = await open('', d.port, {welcome: true});
		const box = await (await page.$('#status')).boundingBox();
		assert.ok(!box || box.width <= 1, JSON.stringify(box));
	}), SLOW);

	test('a kicked person is told, and may come back', (d) =>
	    browse(async (open) => {
		const page = await open('kicked', d.port);
		await d.ctl('kick', 'kicked');
		await says(page, /disconnected by an administrator/);
		await page.click('#status button:has-text("Try again")');
		await connected(page);
		assert.equal(await status(page), '');
	}), SLOW);

	test('a dead line is seen 8 s after something was said', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			const page = await open('alice', line.port, {broken: true});
			line.hold();
			const began = Date.now();
			await say(page, 'into the void');
			await says(page, /No connection/, 12000);
			assert.ok(Date.now() - began > 4000, 'too hasty');
			line.mend();
			await connected(page);
			await until('it has arrived', async () =>
			    (await texts(page)).includes('into the void') &&
			    !await page.$('.message.sending'), 20000);
		} finally {
			line.close();
		}
	}), SLOW);

	test('tries are counted down by 10 s of good life only', (d) =>
	    browse(async (open) => {
		const line = await wire(d.port);
		try {
			const page = await open('alice', line.port, {broken: true});
			const tries = () => page.evaluate(() => globalThis.it.tries);
			const whole = () => page.waitForFunction(() =>
			    globalThis.it.state === 'connected');
			await page.evaluate(async () => {
				const {Client} = await import('/chatd.js');
				globalThis.it = new Client(Client.address('second'));
				globalThis.it.connect();
			});
			await whole();
			line.cut();
			await page.waitForFunction(() =>
			    globalThis.it.state !== 'connected');
			line.mend();
			await whole();
			assert.ok(await tries() > 0);
			await until('they are forgotten', async () =>
			    await tries() === 0, 15000);
			await page.evaluate(() => globalThis.it.close());
		} finally {
			line.close();
		}
	}), SLOW);

	test('rooms with names that objects have', (d) => browse(async (open) => {
		const rooms = ['constructor', '__proto__', 'toString'];
		const alice = await open('alice', d.port);
		for (const room of rooms) {
			await alice.fill('#room', room);
			await alice.press('#room', 'Enter');
			await say(alice, `in ${room}`);
			await shows(alice, [`in ${room}`]);
		}
		await alice.reload();
		await connected(alice);
		for (const room of rooms) {
			await alice.click(`.place:has-text("${room}")`);
			await shows(alice, [`in ${room}`]);
		}
	}), SLOW);

	test('what a backend sends to a user is shown', (d) =>
	    browse(async (open) => {
		const alice = await open('alice', d.port);
		const answer = await fetch(
		    `http://127.0.0.1:${d.port}/api/publish`, {method: 'POST',
		    headers: {'X-API-Key': 'a key for the tests'},
		    body: JSON.stringify({channel: '#alice',
		    data: {text: 'your parcel is here'}})});
		assert.equal(answer.status, 200);
		await alice.waitForSelector('#private .badge');
		await alice.click('#private .place');
		await shows(alice, ['your parcel is here']);
		assert.equal(await alice.isVisible('#compose'), false);
		assert.match(await alice.textContent('.message .from'), /The server/);
		await alice.click('.place:has-text("lobby")');
		assert.equal(await alice.isVisible('#compose'), true);
	}), SLOW);
});

group('page: many messages', {workers: 2, conf: `channel "*" {
	subscribe all
	publish all
	history 2000
	recovery yes
	presence yes
}
`}, (test) => {
	test('the list is bounded, and the rest comes on scrolling back', (d) =>
	    browse(async (open) => {
		const alice = await inRoom(open, 'alice', 'long', d.port);
		const all = numbered('line', 720);
		for (let at = 0; at < all.length; at += 120)
			await publish(alice, 'bob', 'long', all.slice(at, at + 120));
		await until('the last', async () =>
		    (await texts(alice)).at(-1) === 'line 720', 20000);
		const shown = await texts(alice);
		assert.ok(shown.length >= 500 && shown.length <= 650,
		    `${shown.length} are shown`);
		assert.deepEqual(shown, all.slice(-shown.length));
		await alice.fill('#room', 'other');
		await alice.press('#room', 'Enter');
		await alice.click('.place:has-text("long")');
		await alice.hover('#log');
		await alice.evaluate(() => document.getElementById('log')
		    .scrollTop = 0);
		await until('more', async () =>
		    (await texts(alice)).length > shown.length, 20000);
		const more = await texts(alice);
		assert.deepEqual(more, all.slice(-more.length));
	}), SLOW);
});
