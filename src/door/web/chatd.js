/*
 * chatd: the page's script and a small client of the chat, in one module.
 *
 *	import {Client} from '/chatd.js';
 *
 *	const client = new Client(Client.address('alice'), {
 *		state(state, why, code) {}, // 'connecting', 'connected', 'closed'
 *		publication(channel, p) {},	// {data, offset, time, info}
 *		subscribed(channel, s) {},	// s.recovered, see below
 *		unsubscribed(channel, error) {},
 *		moved(channel, {join, leave}) {}	// who: join.info
 *	});
 *	client.connect();
 *	client.subscribe('lobby');
 *	await client.publish('lobby', {text: 'hello'});
 *	await client.history('lobby', {limit: 20, reverse: true});
 *	await client.rpc('message', {to: 'bob', data: {text: 'psst'}});
 *
 * It speaks Centrifugo's protocol in JSON (chatd-protocol(7)). A lost connection
 * is made again after a random time, and each channel goes on where it was:
 * `publication` is called once for every one, in order. Where that cannot be,
 * `subscribed` says lost. Calls answer a promise; it fails with an Error whose
 * `code` is the server's, or 0 if the connection went before the answer came;
 * then `closed` is the code that it was closed with. A command that is longer
 * than the server takes is not sent: `code` is 1009. What the server takes is
 * in `client.limits` (message_size in bytes, ...).
 */

const RETRY_MS = 500, RETRY_MAX_MS = 15000; /* bounds of the random time */
const ANSWER_MS = 10000;                    /* for a reply, a connection */
const UNSURE_MS = 3000; /* for an answer when the network is in doubt */
const DOUBT_MS = 5000;  /* after so long without a reply it is in doubt */
const SETTLED_MS = 10000; /* a connection that lives so long has succeeded */

/* Errors of connect after which trying again changes nothing. */
const REFUSALS = new Set([101, 103, 109]);

/* Close codes that a message was the reason of (RFC 6455, section 7.4.1). */
const BLAME = new Set([1002, 1003, 1007, 1009, 3501]);

const utf8 = new TextEncoder();

/* How many bytes a text is on the wire. */
function bytes(text) {
	return utf8.encode(text).length;
}

/* An error with its code. */
function failure({code = 0, message = 'not connected', temporary = !code,
    closed = 0}) {
	return Object.assign(new Error(message), {code, temporary, closed});
}

export class Client {
	/* The address here, under a name or (with a token) without. */
	static address(user) {
		return `${location.origin.replace('http', 'ws')}/connection/websocket` +
		    (user ? `?user=${encodeURIComponent(user)}` : '');
	}

	/* token: a function that answers a fresh one, or a promise of it. */
	constructor(url, handlers = {}, {token} = {}) {
		Object.assign(this, {url, handlers, token, state: 'closed',
		    id: null, channels: new Map(), calls: new Map(),
		    lines: [], size: 0, serial: 0, tries: 0, limits: {}});
	}

	/* Connects, and again whenever the connection is lost. */
	async connect() {
		clearTimeout(this.timer);
		if (this.socket)
			return;
		this.tell('connecting');
		const socket = this.socket = new WebSocket(this.url);
		socket.onopen = () => this.greet().catch((error) =>
		    this.lost(socket, {code: error.closed || error.code,
		    reason: error.message}));
		socket.onmessage = ({data}) => this.frame(data);
		socket.onclose = (event) => this.lost(socket, event);
		this.alive(ANSWER_MS);
	}

	/* Ends the connection for good. */
	close() {
		this.lost(this.socket, {code: 3500, reason: ''});
	}

	/* Subscribes; goes on over lost connections until unsubscribe. */
	subscribe(channel, {token} = {}) {
		if (this.channels.has(channel))
			return;
		this.channels.set(channel, {token, server: false});
		if (this.state === 'connected')
			this.enter(channel);
	}

	unsubscribe(channel) {
		if (this.channels.delete(channel) && this.state === 'connected')
			this.call('unsubscribe', {channel}).catch(() => {});
	}

	publish(channel, data) {
		return this.call('publish', {channel, data});
	}

	/* {limit, since: {offset, epoch}, reverse} -> {publications, offset, epoch} */
	history(channel, page = {}) {
		return this.call('history', {channel, ...page});
	}

	/* -> {presence: {client: {user, ...}}} */
	presence(channel) {
		return this.call('presence', {channel});
	}

	/* -> what the method answers */
	async rpc(method, data) {
		return (await this.call('rpc', {method, data})).data;
	}

	/* Sends a command; those of one turn go in one frame if that is not too
	 * long. done gets the answer before what comes behind it is read. */
	call(name, parameters, done) {
		if (this.state !== 'connected' && name !== 'connect')
			return Promise.reject(failure({}));
		const id = ++this.serial;
		const line = JSON.stringify({id, [name]: parameters});
		const size = bytes(line), most = this.limits.message_size ?? Infinity;
		if (size > most)
			return Promise.reject(failure({code: 1009,
			    message: `too long: ${size} bytes, of at most ${most}`}));
		if (this.size + size >= most)
			this.flush();
		if (this.lines.push(line) === 1)
			queueMicrotask(() => this.flush());
		this.size += size + 1;
		this.doubt ??= setTimeout(() => this.overdue(), DOUBT_MS);
		return new Promise((resolve, reject) => this.calls.set(id,
		    {name, done, resolve, reject, at: performance.now()}));
	}

	/* Sends the commands that wait. */
	flush() {
		if (this.lines.length && this.socket?.readyState === WebSocket.OPEN)
			this.socket.send(this.lines.join('\n'));
		this.lines = [];
		this.size = 0;
	}

	/* Whether a reply is late: then the line is tried. */
	overdue() {
		const [oldest] = this.calls.values();
		this.doubt = undefined;
		if (!oldest)
			return;
		const left = DOUBT_MS - (performance.now() - oldest.at);
		if (left <= 0 && !oldest.doubted) {
			oldest.doubted = true;
			this.check();
		}
		this.doubt = setTimeout(() => this.overdue(),
		    left > 0 ? left : DOUBT_MS);
	}

	/* Whether the connection still works; if not, it is made again. */
	check() {
		if (!this.socket && this.state === 'connecting')
			this.connect();
		else if (this.state === 'connected') {
			this.call('ping', {}).catch(() => {});
			this.alive(UNSURE_MS);
		}
	}

	/* The first command of a connection, then all subscriptions. */
	async greet() {
		const subs = Object.create(null);
		for (const [channel, c] of this.channels)
			if (c.server)
				subs[channel] = this.position(c);
		const token = await this.token?.();
		try {
			await this.call('connect', {token, subs},
			    (r) => this.greeted(r));
		} catch (error) {
			/* an expired token may be followed by another one */
			if (REFUSALS.has(error.code) && (error.code !== 109 ||
			    await this.token?.() === token))
				error.closed = 3500;
			throw error;
		}
	}

	greeted(r) {
		this.id = r.client;
		this.quiet = r.ping ? r.ping * 1000 + ANSWER_MS : 0;
		this.pong = r.pong;
		this.limits = r.data?.limits ?? {};
		this.settled = setTimeout(() => this.tries = 0, SETTLED_MS);
		this.alive(this.quiet);
		this.tell('connected');
		for (const [channel, s] of Object.entries(r.subs ?? {})) {
			if (!this.channels.has(channel))
				this.channels.set(channel, {server: true});
			this.entered(channel, s);
		}
		for (const [channel, c] of this.channels)
			if (!c.server)
				this.enter(channel);
		if (r.expires && this.token)
			this.expiry = setTimeout(async () => this.call('refresh',
			    {token: await this.token()}).catch(() => {}),
			    r.ttl * 900);
	}

	/* Where the server is to go on with a channel. */
	position({epoch, offset}) {
		return epoch ? {recover: true, epoch, offset} : {};
	}

	/* Subscribes, or goes on with a channel. */
	async enter(channel) {
		const c = this.channels.get(channel);
		try {
			await this.call('subscribe', {channel, token: c.token,
			    ...this.position(c)}, (s) => this.entered(channel, s));
		} catch (error) {
			if (this.channels.get(channel) !== c || !error.code)
				return; /* the next connection will */
			if (error.temporary)
				setTimeout(() => this.state === 'connected' &&
				    this.enter(channel), RETRY_MS);
			else {
				this.channels.delete(channel);
				this.handlers.unsubscribed?.(channel, error);
			}
		}
	}

	/* A subscription begins or goes on: what was missed comes first. */
	entered(channel, s) {
		const c = this.channels.get(channel);
		if (!c)
			return;
		const lost = !!c.epoch && !s.recovered;
		if (lost)
			c.offset = 0;
		for (const p of s.publications ?? [])
			this.published(channel, c, p);
		c.epoch = s.epoch;
		c.offset = s.offset ?? 0;
		this.handlers.subscribed?.(channel, {recovered: !!s.recovered, lost,
		    epoch: c.epoch, offset: c.offset});
	}

	/* A publication that was not seen yet. */
	published(channel, c, p) {
		if (p.offset && p.offset <= c.offset)
			return;
		if (p.offset)
			c.offset = p.offset;
		this.handlers.publication?.(channel, p);
	}

	/* One frame: replies, pushes, and {}, which is a ping. */
	frame(text) {
		this.alive(this.state === 'connected' ? this.quiet : ANSWER_MS);
		for (const line of text.split('\n')) {
			const m = JSON.parse(line);
			if (m.push)
				this.pushed(m.push);
			else if (!m.id) {
				if (this.pong)
					this.socket?.send('{}');
			} else {
				const call = this.calls.get(m.id);
				this.calls.delete(m.id);
				if (m.error)
					call?.reject(failure(m.error));
				else {
					call?.done?.(m[call.name] ?? {});
					call?.resolve(m[call.name] ?? {});
				}
			}
		}
	}

	pushed({channel, pub, join, leave, unsubscribe}) {
		const c = this.channels.get(channel);
		if (!c)
			return;
		if (pub)
			this.published(channel, c, pub);
		else if (join || leave)
			this.handlers.moved?.(channel, {join, leave});
		else if (unsubscribe?.code >= 2500)
			this.enter(channel); /* there is a gap: fill it */
		else if (unsubscribe) {
			this.channels.delete(channel);
			this.handlers.unsubscribed?.(channel, failure(unsubscribe));
		}
	}

	/* Something was heard; within ms more must be. */
	alive(ms) {
		clearTimeout(this.watch);
		const {socket} = this;
		if (ms)
			this.watch = setTimeout(() => this.lost(socket,
			    {code: 0, reason: 'no answer'}), ms);
	}

	/* The connection is gone. From 3500 to 3999 the server means it. */
	lost(socket, {code, reason}) {
		if (socket !== this.socket)
			return;
		const final = (code >= 3500 && code < 4000) || code >= 4500;
		const calls = [...this.calls.values()];
		clearTimeout(this.watch);
		clearTimeout(this.expiry);
		clearTimeout(this.timer);
		clearTimeout(this.settled);
		clearTimeout(this.doubt);
		this.doubt = undefined;
		this.socket = null;
		socket?.close();
		this.calls.clear();
		this.lines = [];
		this.size = 0;
		if (!final)
			this.timer = setTimeout(() => this.connect(), Math.random() *
			    Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.tries++));
		this.tell(final ? 'closed' : 'connecting', reason, code);
		for (const call of calls)
			call.reject(failure({closed: code}));
	}

	tell(state, why = '', code = 0) {
		this.state = state;
		this.handlers.state?.(state, why, code);
	}
}

/* ---- the page ---- */

const PAGE = 50;          /* messages of history at once */
const KEEP = 600;         /* messages of a conversation held here */
const GROUP_MS = 300000;  /* messages so close together share a face */
const PEOPLE_MS = 10000;  /* who is here is asked so often */
const BOTTOM_PX = 60;     /* so near the end, the log follows */
const DRAW_MS = 40;       /* messages that come within it are drawn at once */

const $ = (id) => document.getElementById(id);

/* An element with attributes and children; text becomes text nodes. */
function make(tag, attributes, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes))
		if (name === 'onclick')
			e.onclick = value;
		else
			e.setAttribute(name, value);
	e.append(...children);
	return e;
}

function span(className, ...children) {
	return make('span', {class: className}, ...children);
}

const UNSEEN =
    /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;
const PICTURE = /\p{Extended_Pictographic}/u;
const STYLE = /[\ufe0f\p{Emoji_Modifier}]/u;
const VIRAMA = new RegExp('[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd' +
    '\u0d4d\u0dca\u0f84\u1039\u17d2\u1b44\ua8c4\ua9c0]');
const JOINING = new RegExp('[\\p{scx=Arab}\\p{scx=Syrc}\\p{scx=Nkoo}' +
    '\\p{scx=Mand}\\p{scx=Mong}\\p{scx=Phag}\\p{scx=Adlm}\\p{scx=Rohg}]', 'u');

/* A name as it can be seen: format characters, odd spaces and what is no
 * character yet as \u{HEX}, but joiners where letters or pictures join. */
function shown(name) {
	const all = [...name];
	return all.map((c, i) => {
		const before = all[i - 1] ?? '', after = all[i + 1] ?? '';
		let k = i - 1;
		while (STYLE.test(all[k] ?? ''))
			k--;
		const picture = PICTURE.test(all[k] ?? '');
		const joins = {
			'\u200c': JOINING.test(before) && JOINING.test(after),
			'\u200d': picture && PICTURE.test(after),
			'\ufe0e': PICTURE.test(before),
			'\ufe0f': PICTURE.test(before) || after === '\u20e3'};
		return !UNSEEN.test(c) || joins[c] ||
		    /[\u200c\u200d]/.test(c) && VIRAMA.test(before) ? c :
		    `\\u{${c.codePointAt(0).toString(16)}}`;
	}).join('');
}

/* Gives an element the colour of a name. */
function tint(e, name) {
	let h = 7;
	for (const c of name)
		h = (h * 31 + c.codePointAt(0)) % 997;
	e.style.setProperty('--hue', h * 137 % 360);
	return e;
}

/* A face: a name's first letters on its colour. */
function face(name) {
	return tint(make('span', {class: 'face', 'aria-hidden': 'true'},
	    [...shown(name)].slice(0, 2).join('').toUpperCase()), name);
}

/* What is remembered for the next visit; a browser may forbid it. */
const memory = {
	get(key, otherwise) {
		try {
			return JSON.parse(localStorage[key]) ?? otherwise;
		} catch {
			return otherwise;
		}
	},
	set(key, value) {
		try {
			localStorage[key] = JSON.stringify(value);
		} catch {}
	}
};

/* Making a format costs more than a hundred uses of it. */
const clock = new Intl.DateTimeFormat([], {timeStyle: 'short'});
const calendar = new Intl.DateTimeFormat([], {dateStyle: 'full'});

const days = new Map(); /* a day as Date writes it -> in words */

/* The day of a message in words. */
function dayOf(m, today) {
	m.day ??= new Date(m.at).toDateString();
	if (!days.has(m.day))
		days.set(m.day, calendar.format(m.at));
	return m.day === today ? 'Today' : days.get(m.day);
}

/* A number of bytes for people. */
function sized(n) {
	return `${n.toLocaleString()} bytes`;
}

/* The text of a publication; other programs' data is shown as it is. */
function textOf(data) {
	const text = data?.text ?? data;
	return typeof text === 'string' ? text : JSON.stringify(data);
}

/* What a backend sends to this user alone; nobody can answer there. */
const NOTICES = '@';

/* A room or a private conversation. A message is {offset, at, from, own, text};
 * one's own stays in `outbox` until it comes back as a publication. */
class Place {
	constructor(key) {
		this.key = key;
		this.peer = key[0] === '@' ? key.slice(1) || 'Notices' : null;
		Object.assign(this, {title: shown(this.peer ?? key), messages: [],
		    outbox: [], unread: 0, read: 0, draft: '', present: null});
	}

	/* Puts a message in its place; false if it is there. */
	add(m) {
		let i = this.messages.length;
		while (i > 0 && this.messages[i - 1].offset > m.offset)
			i--;
		if (i > 0 && this.messages[i - 1].offset === m.offset && m.offset > 0)
			return false;
		this.messages.splice(i, 0, m);
		return true;
	}

	/* The message of ours that comes back as this publication, if any. */
	confirm(client, text) {
		const i = this.outbox.findIndex((m) =>
		    m.client === client && m.text === text);
		return i < 0 ? null : this.outbox.splice(i, 1)[0];
	}
}

class Page {
	constructor(name, token) {
		Object.assign(this, {me: name, token, places: new Map(),
		    usage: $('hint').textContent,
		    sources: new Map(), failures: 0,
		    marks: Object.create(null), reads: Object.assign(
		    Object.create(null), memory.get('read', {})), active: null});
		this.client = new Client(Client.address(token ? '' : name), {
			state: (...what) => this.stateChanged(...what),
			publication: (channel, p) => this.take(channel, p),
			subscribed: (channel, s) => this.subscribed(channel, s),
			unsubscribed: (channel, error) => this.refused(channel, error),
			moved: (channel) => this.countPeople(channel)
		}, {token: token && (() => token)});
		this.listen();
		for (const room of new Set(['lobby', ...memory.get('rooms', [])]))
			this.place(room);
		this.client.connect();
		this.open('lobby');
	}

	listen() {
		$('compose').onsubmit = (e) => (e.preventDefault(), this.say());
		$('text').onkeydown = (e) => {
			/* While a word is composed (229: Safari), Enter takes it. */
			if (e.key !== 'Enter' || e.shiftKey || e.isComposing ||
			    e.keyCode === 229)
				return;
			e.preventDefault();
			this.say();
		};
		$('text').oninput = () => (this.fit(), this.hint());
		$('join').onsubmit = (e) => {
			e.preventDefault();
			this.open($('room').value.trim());
			$('room').value = '';
		};
		$('log').onscroll = () => this.scrolled();
		$('latest').onclick = () => this.toEnd();
		$('back').onclick = () => this.view('places');
		$('show-people').onclick = () => this.showPeople();
		$('hide-people').onclick = () => this.showPeople(false);
		$('leave').onclick = renamed;
		ononline = onoffline = () => this.client.check();
		document.onvisibilitychange = () => {
			if (!document.hidden)
				this.client.check();
			this.seen();
		};
		setInterval(() => document.hidden || this.countPeople(), PEOPLE_MS);
	}

	view(name) {
		$('chat').dataset.view = name;
		({places: $('places').querySelector('[aria-current]'), talk: $('title'),
		    people: $('people').querySelector('button')})[name]?.focus();
		this.seen();
	}

	showPeople(on = phone() || !('people' in $('chat').dataset)) {
		$('chat').toggleAttribute('data-people', on && !phone());
		$('show-people').setAttribute('aria-expanded', on);
		if (phone())
			this.view(on ? 'people' : 'talk');
	}

	/* The conversation of that key; a room is subscribed to. */
	place(key) {
		if (this.places.has(key))
			return this.places.get(key);
		const p = new Place(key);
		this.places.set(key, p);
		if (!p.peer) {
			this.client.subscribe(key);
			this.saveRooms();
		} else
			p.read = this.readOf(key, this.sources.get(`#${this.me}`)?.epoch);
		this.drawPlaces();
		return p;
	}

	saveRooms() {
		memory.set('rooms', [...this.places.values()].filter((p) => !p.peer)
		    .map((p) => p.key));
	}

	/* Where its publications come from. */
	channelOf(p) {
		return p.peer ? `#${this.me}` : p.key;
	}

	/* Up to where a conversation was read on the last visit. */
	readOf(key, epoch) {
		const [was, offset] = this.reads[key] ?? [];
		return was === epoch && offset || 0;
	}

	leave(p) {
		this.places.delete(p.key);
		if (!p.peer)
			this.client.unsubscribe(p.key);
		this.sources.delete(p.key);
		p.row.remove();
		this.saveRooms();
		this.drawPlaces();
		if (p === this.active)
			this.open('lobby', false);
	}

	open(key, show = true) {
		const p = this.place(key);
		if (this.active)
			this.active.draft = $('text').value;
		this.active = p;
		p.freshAfter = p.unread ? p.read : Infinity;
		$('text').value = p.draft;
		$('title').textContent = p.title;
		$('compose').hidden = key === NOTICES;
		$('text-label').textContent = $('text').placeholder =
		    `Message to ${p.title}`;
		$('show-people').hidden = !!p.peer;
		if (p.peer)
			$('chat').removeAttribute('data-people');
		else if (innerWidth >= 1100)
			this.showPeople(true);
		if (show && chatView() !== 'talk')
			this.view('talk');
		this.fit();
		this.draw(false);
		this.toEnd();
		this.drawPlaces();
		this.drawPeople();
		this.countPeople();
		if (!phone())
			$('text').focus();
	}

	/* The text field is as high as its text. */
	fit() {
		const {style} = $('text');
		style.height = 'auto';
		style.height = `${$('text').scrollHeight + 2}px`;
	}

	say() {
		const text = $('text').value.trim(), p = this.active;
		if (!text || p.key === NOTICES)
			return;
		const size = this.sizeOf(p, text);
		const most = this.client.limits.message_size;
		if (size > most)
			return this.hint(`This is too long: ${sized(size)}, ` +
			    `and the server takes at most ${sized(most)}.`);
		$('text').value = '';
		this.fit();
		this.hint();
		const m = {at: Date.now(), from: this.me, own: true, text};
		p.outbox.push(m);
		this.send(p, m);
		this.toEnd();
	}

	/* How many bytes the server is sent for a text: the longest command. */
	sizeOf(p, text) {
		const id = this.client.serial + 100;
		return bytes(JSON.stringify(p.peer ? {id, rpc: {method: 'message',
		    data: {to: p.peer.length > this.me.length ? p.peer : this.me,
		    data: {text, to: p.peer}}}} :
		    {id, publish: {channel: p.key, data: {text}}}));
	}

	/* Says under the text field what is wrong with the text, or how it is
	 * sent. */
	hint(wrong = '') {
		if (!wrong && !$('hint').classList.contains('wrong'))
			return;
		$('hint').classList.toggle('wrong', wrong);
		$('hint').textContent = wrong || this.usage;
		$('text').setAttribute('aria-invalid', !!wrong);
	}

	/* Sends a message of the outbox, or lets it wait for the connection. */
	async send(p, m) {
		const {client} = this, ready = client.state === 'connected';
		Object.assign(m, {state: 'sending', client: ready ? client.id : null});
		this.changed(p);
		if (!ready)
			return;
		try {
			if (p.peer) {
				const {text} = m;
				await client.rpc('message', {to: p.peer, data: {text}});
				/* a copy for one's own other devices and next visit */
				if (p.peer !== this.me)
					client.rpc('message', {to: this.me,
					    data: {text, to: p.peer}}).catch(() => {});
			} else
				await client.publish(p.key, {text: m.text});
			m.state = 'sent';
		} catch (error) {
			if (error.code || BLAME.has(error.closed)) {
				m.state = 'failed';
				m.why = error.code ? error.message :
				    'The server ended the connection at this';
			} /* else the next connection tells what became of it */
		}
		this.changed(p);
	}

	/* A publication, as it comes or out of the history. */
	take(channel, p, old = false) {
		const from = p.info?.user ?? '', own = from === this.me;
		const text = textOf(p.data);
		const key = channel[0] !== '#' ? channel :
		    `@${own && p.data?.to || from}`;
		const place = this.place(key);
		const m = own && place.confirm(p.info?.client, text) ||
		    {from, own, text, client: p.info?.client};
		Object.assign(m, {offset: p.offset, at: p.time || Date.now(),
		    clock: undefined, day: undefined, state: own ? 'sent' : undefined});
		if (!place.add(m))
			return;
		if (!own && m.offset > place.read)
			place.unread++;
		if (!old) /* else its page is drawn when it is complete */
			this.drawSoon(place);
	}

	/* Shows a new message: many in a moment are drawn once. */
	drawSoon(p) {
		if (p !== this.active)
			return this.changed(p);
		this.drawing ??= setTimeout(() => {
			this.drawing = undefined;
			this.changed(this.active);
			this.seen();
		}, DRAW_MS);
	}

	/* A channel begins or goes on. */
	subscribed(channel, s) {
		if (channel[0] === '#')
			this.me ||= channel.slice(1); /* the token said who */
		else
			this.place(channel); /* the token may have said which */
		const places = [...this.places.values()].filter((p) =>
		    this.channelOf(p) === channel);
		const source = this.sources.get(channel);
		if (!source || s.lost) {
			this.sources.set(channel, {epoch: s.epoch, oldest: 0});
			for (const p of places) {
				p.read = this.readOf(p.key, s.epoch) || (p.peer ? 0 : s.offset);
				if (source?.epoch !== s.epoch)
					for (const m of p.messages)
						m.offset = 0; /* they count anew */
				if (s.lost)
					p.add({offset: p.messages.at(-1)?.offset + .5 || 0,
					    notice: 'Some messages may be missing here.'});
			}
			this.older(channel);
		}
		/* What was on its way and has not come back was not accepted, where
		 * all that was is known; else the person decides. */
		for (const p of places)
			for (const m of [...p.outbox])
				if (m.state === 'sending' && m.client !== this.client.id) {
					if (!m.client || (s.recovered && !p.peer))
						this.send(p, m);
					else
						Object.assign(m, {state: 'failed',
						    why: 'It may not have arrived'});
				}
		for (const p of places)
			this.changed(p, true);
		this.countPeople(channel);
		$('me').textContent = shown(this.me);
		$('me-face').replaceChildren(face(this.me));
	}

	/* A room that one may not be in. */
	refused(channel, {message}) {
		const p = this.place(channel);
		p.add({offset: 0, notice: `You cannot be here: ${message}.`});
		this.changed(p);
	}

	/* Loads a page of history in front of what is there. */
	async older(channel) {
		const s = this.sources.get(channel), shown = this.active;
		if (!s || s.busy || s.done || this.channelOf(shown) === channel &&
		    shown.messages.length >= KEEP)
			return;
		s.busy = true;
		try {
			const {publications = []} = await this.client.history(channel,
			    {limit: PAGE, reverse: true, since: s.oldest ?
			    {offset: s.oldest, epoch: s.epoch} : undefined});
			s.oldest = publications.at(-1)?.offset ?? s.oldest;
			s.done = publications.length < PAGE || s.oldest === 1;
			for (const p of publications)
				this.take(channel, p, true);
		} catch (error) {
			s.done = !!error.code; /* nothing is kept there */
		}
		s.busy = false;
		this.drawPlaces();
		if (this.channelOf(this.active) === channel) {
			this.draw(false); /* and on, if that filled no screen */
			this.seen();
		}
	}

	changed(p, old = false) {
		/* what is being read does not vanish at once */
		const most = p !== this.active || this.atEnd() ? KEEP : 2 * KEEP;
		if (!old && p.messages.length > most)
			this.forget(p, p.messages.length - most + PAGE);
		if (p === this.active)
			this.draw(!old);
		this.drawPlaces();
	}

	/* Drops the oldest messages of a conversation: they are in the history. */
	forget(p, n) {
		const s = this.sources.get(this.channelOf(p));
		p.messages.splice(0, n);
		if (s && p.messages[0]?.offset > s.oldest) {
			s.oldest = Math.floor(p.messages[0].offset);
			s.done = false;
		}
	}

	/* What is in sight has been read. */
	seen() {
		const p = this.active;
		if (!p || document.hidden || chatView() !== 'talk' || !this.atEnd())
			return;
		const last = Math.floor(p.messages.at(-1)?.offset ?? 0);
		if (!p.unread && last <= p.read)
			return;
		p.unread = 0;
		p.read = Math.max(p.read, last);
		this.reads[p.key] = [this.sources.get(this.channelOf(p))?.epoch, p.read];
		memory.set('read', this.reads);
		this.drawPlaces();
	}

	atEnd() {
		const log = $('log');
		return log.scrollHeight - log.scrollTop - log.clientHeight < BOTTOM_PX;
	}

	toEnd() {
		$('log').scrollTop = $('log').scrollHeight;
	}

	scrolled() {
		const end = this.atEnd(), p = this.active;
		$('latest').hidden = end;
		if (end)
			this.seen();
		if ($('log').scrollTop < 200)
			this.older(this.channelOf(p));
	}

	/* Brings the log up to date, touching only what differs: a screen reader
	 * hears what is new and nothing else. */
	draw(live) {
		const log = $('log'), p = this.active, end = this.atEnd();
		const anchor = [...log.querySelectorAll('.message')].find((e) =>
		    e.offsetTop + e.offsetHeight > log.offsetTop + log.scrollTop);
		const before = anchor?.offsetTop;
		const all = [...p.messages, ...p.outbox], nodes = [];
		const today = new Date().toDateString();
		let day = '', fresh = false;
		log.setAttribute('aria-live', live ? 'polite' : 'off');
		all.forEach((m, i) => {
			if (!m.notice && day !== dayOf(m, today))
				nodes.push(this.mark('day', day = dayOf(m, today)));
			if (!fresh && !m.own && m.offset > p.freshAfter) {
				fresh = true;
				nodes.push(this.mark('fresh', 'New'));
			}
			const node = this.messageNode(p, m);
			const apart = (a, b) => !a || !b || a.from !== b.from || b.notice ||
			    a.notice || Math.abs(b.at - a.at) > GROUP_MS;
			node.classList.toggle('first', apart(all[i - 1], m));
			node.classList.toggle('last', apart(m, all[i + 1]));
			nodes.push(node);
		});
		if (!all.length)
			nodes.push(this.mark('empty', p.peer ?
			    `What you write here only ${p.title} and you can read.` :
			    'Nothing has been said here yet.'));
		let at = log.firstChild;
		for (const node of nodes)
			if (node === at)
				at = at.nextSibling;
			else
				log.insertBefore(node, at);
		while (at) {
			const next = at.nextSibling;
			at.remove();
			at = next;
		}
		if (end)
			log.scrollTop = log.scrollHeight;
		else if (anchor?.isConnected)
			log.scrollTop += anchor.offsetTop - before;
		this.scrolled();
	}

	/* A line between messages, one of a text. */
	mark(kind, text) {
		return this.marks[text] ??= make('p', {class: kind}, text);
	}

	/* A message's element; the same one as long as it lives. */
	messageNode(p, m) {
		if (m.notice)
			return m.node ??= make('p', {class: 'notice'}, m.notice);
		if (!m.node) {
			/* a client whose name may be taken for the server's */
			const name = m.client && m.from[0] === '*' ?
			    `"${shown(m.from)}"` : shown(m.from);
			const from = m.own || p.peer || !/^[^*]/.test(m.from) ?
			    span('from', m.own ? 'You' : name ||
			    (p.key === NOTICES ? 'The server' : 'Somebody')) :
			    make('button', {class: 'from',
			    onclick: () => this.open(`@${m.from}`)}, name);
			m.time = make('time', {class: 'when'});
			m.node = make('div', {class: m.own ? 'message own' : 'message'},
			    tint(from, m.from), face(m.from || '?'), make('div',
			    {class: 'words'}, span('said', m.text), m.time));
		}
		const sending = m.state === 'sending', failed = m.state === 'failed';
		const when = m.clock ??= clock.format(m.at);
		const note = sending ? 'sending…' : failed ? m.why :
		    m.own ? `${when} ✓` : when;
		if (m.time.textContent !== note) {
			m.time.textContent = note;
			m.node.classList.toggle('sending', sending || failed);
			m.node.querySelector('.again')?.remove();
			if (failed)
				m.node.append(make('button', {class: 'again',
				    onclick: () => this.send(p, m)}, 'Send again'));
		}
		return m.node;
	}

	drawPlaces() {
		let unread = 0;
		for (const p of this.places.values()) {
			unread += p.unread;
			p.button ??= make('button', {class: 'place',
			    onclick: () => this.open(p.key)}, p.peer ? face(p.title) :
			    span('hash', '#'), span('name', p.title));
			if (!p.row) {
				p.row = make('li', {}, p.button);
				if (p.key !== 'lobby')
					p.row.append(make('button', {class: 'icon close',
					    'aria-label': `Leave ${p.title}`,
					    onclick: () => this.leave(p)},
					    $('hide-people').firstElementChild.cloneNode(true)));
				$(p.peer ? 'private' : 'rooms').append(p.row);
			}
			p.button.ariaCurrent = p === this.active ? 'true' : null;
			if (p.shown !== p.unread) {
				p.shown = p.unread;
				p.button.querySelector('.badge')?.remove();
				if (p.unread)
					p.button.append(span('badge', p.unread,
					    span('unseen', ' unread')));
			}
		}
		$('private-none').hidden = $('private').firstChild;
		const elsewhere = unread - this.active?.unread;
		$('back-unread').hidden = !elsewhere;
		$('back-unread').textContent = elsewhere;
		document.title = (unread ? `(${unread}) ` : '') +
		    `${this.active?.title} · chatd`;
	}

	/* Asks who is in the room (of a private conversation: in the lobby). */
	async countPeople(channel) {
		const p = this.active, asked = p?.peer ? 'lobby' : p?.key;
		if (channel && channel !== asked)
			return;
		try {
			const {presence = {}} = await this.client.presence(asked);
			p.present = new Set(Object.values(presence)
			    .map(({user}) => user).filter(Boolean));
		} catch (error) {
			if (!error.code)
				return; /* soon again */
			p.present = null;
		}
		this.drawPeople();
	}

	drawPeople() {
		const {present, peer} = this.active, n = present?.size;
		$('subtitle').textContent = this.active.key === NOTICES ?
		    'from the server to you' : !present ? '' : peer ?
		    (present.has(peer) ? 'is here' : 'is away') :
		    n === 1 ? '1 person is here' : `${n} people are here`;
		const names = peer || !present ? [] : [...present].sort((a, b) =>
		    (b === this.me) - (a === this.me) || a.localeCompare(b));
		if (this.names === names.join('\n'))
			return;
		this.names = names.join('\n');
		$('present').replaceChildren(...names.map((name) => make('li', {},
		    name === this.me ?
		    make('div', {}, face(name),
		    span('name', `${shown(name)} (you)`)) :
		    make('button', {onclick: () => this.open(`@${name}`)},
		    face(name), span('name', shown(name))))));
	}

	stateChanged(state, why, code) {
		const unopened = state === 'connecting' && code === 1006;
		this.was ||= state === 'connected';
		this.failures += unopened;
		const calm = state === 'connected' || !this.was && !why && !unopened;
		$('state').textContent = {connected: 'Connected',
		    connecting: 'Connecting…', closed: 'Not connected'}[state];
		$('state').className = `quiet ${state}`;
		if (calm || state === 'connecting')
			this.status(calm ? $('state').textContent :
			    'No connection, trying again…', calm);
		else
			this.ended(code, why);
		if (unopened && !this.was)
			this.findOut();
	}

	/* Says how the connection stands, with what one can do about it. */
	status(text, calm, ...actions) {
		$('status').className = calm ? 'unseen' : '';
		$('status').replaceChildren(text, ...actions.map(([word, onclick]) =>
		    make('button', {class: 'action', onclick}, word)));
	}

	/* The server does not want this connection any more: why, and a way on. */
	ended(code, why) {
		const again = ['Try again', () => this.client.connect()];
		const [text, ...actions] = code === 109 || /expired/.test(why) ?
		    ['Your token has expired. Open the page with a new one: ' +
		    `${tokenPlace()}.`, again] :
		    code === 3503 ? ['You were disconnected by an administrator.',
		    again] :
		    code === 3500 ? ['The server does not accept your token. Open ' +
		    `the page with another one: ${tokenPlace()}.`, again] :
		    [`The server has ended the connection: ${why || code}.`, again];
		this.status(text, false, ...actions,
		    ...this.token ? [] : [['Change name', renamed]]);
	}

	/* No WebSocket was ever opened, and a script is not told why: the same
	 * address, asked without an upgrade, says it. */
	async findOut() {
		let answer;
		try {
			answer = await fetch(this.client.url.replace(/^ws/, 'http'));
		} catch {
			return; /* no network: it is tried again */
		}
		const text = (await answer.text()).trim();
		if (this.was || this.client.state === 'connected' ||
		    answer.status === 503)
			return;
		if (answer.status !== 426 || this.failures > 2)
			this.client.close();
		if (answer.status === 401)
			this.status('This chat needs a token. Open the page as ' +
			    `${tokenPlace()}; the operator of the chat can make one.`, false,
			    ['Try again', () => location.reload()]);
		else if (answer.status !== 426)
			this.status(`The server refuses the connection: ${text}.`, false,
			    ['Try again', () => this.client.connect()],
			    ['Change name', renamed]);
		else if (this.failures > 2)
			this.status('The page is there, but the server refuses its ' +
			    'WebSocket: its log says why.', false,
			    ['Try again', () => this.client.connect()]);
	}
}

/* Where a token goes in the page's address. */
function tokenPlace() {
	return `${location.origin}${location.pathname}#token=TOKEN`;
}

/* Forgets the name and asks for another one. */
function renamed() {
	memory.set('name', null);
	location.reload();
}

function phone() {
	return matchMedia('(max-width: 760px)').matches;
}

function chatView() {
	return phone() ? $('chat').dataset.view : 'talk';
}

/* Asks for a name unless one is remembered, then begins. */
function welcome() {
	const token = new URLSearchParams(location.hash.slice(1)).get('token');
	const begin = (name) => {
		$('welcome').hidden = true;
		$('chat').hidden = false;
		new Page(name, token);
	};
	if (token || memory.get('name'))
		return begin(token ? '' : memory.get('name'));
	$('welcome').hidden = false;
	$('name').focus();
	const chosen = () => $('name').value.trim().normalize();
	$('name').oninput = () => $('name').setCustomValidity(
	    bytes(chosen()) > 64 ?
	    'That name is too long.' : shown(chosen()) !== chosen() ?
	    'That name has characters that cannot be seen.' : '');
	$('enter').onsubmit = (event) => {
		event.preventDefault();
		const name = chosen();
		memory.set('name', name);
		begin(name);
	};
}

if (globalThis.document?.getElementById('chat'))
	welcome();
