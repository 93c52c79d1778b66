/* Messages are found by their words: by the server API, and by clients in their
 * own channels alone. */
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const {group} = require('./suite.js');
const {Daemon, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {Line} = require('./centrifugo.js');
const {rules, storing} = require('../fault/archive.js');

const KEY = 'a key of tests';
const CONF = `api-key "${KEY}"\n` + rules('stored*', '\tstore yes\n') +
    'channel "#*" {\n\thistory 100\n\trecovery yes\n\tstore yes\n}\n' +
    rules('plain*');

/* A method of the API; its result, or error. */
function api(d, method, body) {
	return new Promise((resolve, reject) => {
		const r = http.request({port: d.port, host: '127.0.0.1',
		    method: 'POST', path: '/api/' + method,
		    headers: {'X-API-Key': KEY}}, (answer) => {
			let text = '';
			answer.on('data', (data) => text += data);
			answer.on('end', () => resolve(JSON.parse(text)));
		});
		r.on('error', reject);
		r.end(JSON.stringify(body));
	});
}

/* What the API finds: the texts. */
async function found(d, body) {
	const {result, error} = await api(d, 'search', body);
	assert.equal(error, undefined, JSON.stringify(error));
	return result.publications.map((p) => p.data.text);
}

/* What a client finds in a channel; the reply's error, if there is one. */
async function asked(l, data) {
	const r = await l.ask('rpc', {method: 'search', data});
	return r.error ? r.error.code :
	    r.rpc.data.publications.map((p) => p.data.text);
}

/* So many are in the index. */
function indexed(d, n, text = 'message') {
	return until(`${n} are found`, async () =>
	    (await found(d, {text, limit: 1000})).length === n);
}

group('search', null, (test) => {
	test('by the API and by clients', () => storing(async (d) => {
		const alice = await Line.connected(d, '?user=alice');
		const bob = await Line.connected(d, '?user=bob');
		for (const l of [alice, bob])
			await l.ask('subscribe', {channel: 'stored:1'});
		await alice.ask('subscribe', {channel: 'stored:2'});
		for (let k = 1; k <= 5; k++)
			await alice.ask('publish', {channel: 'stored:1',
			    data: {text: `message ${k} of a room`}});
		await alice.ask('publish', {channel: 'stored:2',
		    data: {text: 'a secret message'}});
		await bob.ask('rpc', {method: 'message', data: {to: 'alice',
		    data: {text: 'a private message'}}});
		await api(d, 'publish', {channel: 'plain', data:
		    {text: 'a message that is not stored'}});
		await indexed(d, 7);

		const {result} = await api(d, 'search', {text: 'SECRET message'});
		const [p] = result.publications;
		assert.deepEqual(result, {publications: [{channel: 'stored:2',
		    data: {text: 'a secret message'},
		    info: {user: 'alice', client: alice.welcome.connect.client},
		    offset: 1, time: p.time}]});
		assert.deepEqual(await found(d, {channel: 'stored:1',
		    text: 'message', limit: 2}),
		    ['message 5 of a room', 'message 4 of a room']);
		const page = (await api(d, 'search', {channel: 'stored:1',
		    text: 'message', limit: 2, offset: 4})).result;
		assert.deepEqual(page.publications.map((m) => m.offset), [3, 2]);
		assert.equal(page.more, true);
		assert.deepEqual((await api(d, 'search', {channel: 'stored:1',
		    text: 'message', limit: 2, offset: 2})).result
		    .publications.map((m) => m.offset), [1]);
		assert.deepEqual(await found(d, {channel: 'stored:1',
		    text: 'message', offset: 1}), []);
		assert.deepEqual(await found(d, {text: 'nothing'}), []);

		/* clients: what they are subscribed to, and their own channel */
		const word = {channel: 'stored:2', text: 'message'};
		assert.deepEqual(await asked(alice, word), ['a secret message']);
		assert.equal(await asked(bob, word), 103);
		assert.equal(await asked(bob, {...word, channel: '#alice'}), 103);
		assert.deepEqual(await asked(alice, {...word,
		    channel: '#alice'}), ['a private message']);
		assert.deepEqual(await asked(bob, {...word, channel: '#bob'}), []);
		assert.deepEqual(await asked(bob, {...word,
		    channel: 'stored:1', limit: 1}), ['message 5 of a room']);
		/* one that has left has no right any more */
		await alice.ask('unsubscribe', {channel: 'stored:2'});
		assert.equal(await asked(alice, word), 103);
	}, {channels: CONF, conf: 'store-search yes\n'}));

	test('what is wrong', () => storing(async (d) => {
		const l = await Line.connected(d, '?user=alice');
		await l.ask('subscribe', {channel: 'plain'});
		await l.ask('subscribe', {channel: 'stored'});
		for (const data of [{}, {text: 'x'}, {channel: 'stored'},
		    {channel: 'stored', text: ''}, {channel: 'stored', text: 5},
		    {channel: 'stored', text: 'x', limit: 0}, null,
		    {channel: 'stored', text: 'x'.repeat(2000)},
		    {channel: 'stored', text: 'a '.repeat(65)},
		    {channel: 'stored', text: 'x', offset: -1}])
			assert.equal(await asked(l, data), 107,
			    JSON.stringify(data));
		assert.equal(await asked(l, {channel: 'plain', text: 'x'}), 108);
		for (const body of [{}, {text: ''}, {text: 'x', limit: -1},
		    {text: 'x', offset: 3}])
			assert.equal((await api(d, 'search', body)).error.code,
			    107, JSON.stringify(body));
		assert.equal((await api(d, 'search', {text: 'x',
		    channel: 'plain'})).error.code, 108);
		/* signs and many words are no trouble */
		for (const text of ['" OR 1', '(', 'a*', '"'.repeat(1000),
		    ' a'.repeat(64) + ' ', '\u0000', '-', 'NEAR('])
			assert.deepEqual(await found(d, {text}), [], text);
	}, {channels: CONF, conf: 'store-search yes\n'}));

	test('without an index', () => storing(async (d) => {
		const l = await Line.connected(d, '?user=alice');
		await l.ask('subscribe', {channel: 'stored'});
		assert.equal(await asked(l, {channel: 'stored', text: 'x'}), 108);
		assert.equal((await api(d, 'search', {text: 'x'})).error.code,
		    108);
	}, {channels: CONF}));

	test('without a store', async () => {
		const d = await Daemon.start({conf: `api-key "${KEY}"\n` +
		    rules('plain*')});
		const l = await Line.connected(d, '?user=alice');
		await l.ask('subscribe', {channel: 'plain'});
		assert.equal(await asked(l, {channel: 'plain', text: 'x'}), 108);
		assert.equal((await api(d, 'search', {text: 'x'})).error.code,
		    108);
		Client.dropAll();
		await d.stop();
	});
});
