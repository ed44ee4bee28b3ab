// Joins a room from a browser: docs/signalling.md is what it speaks.
//
// /?room=standup&uid=carol            fills the form in
// /?room=standup&uid=carol&autojoin   asks for nothing but a click; never without one, or a link
//                                     could put anybody's microphone into any room
//   &token=...                        for a server with a secret
//   &raw                              the microphone as it is: no echo cancellation, noise
//                                     suppression or gain control

const RECONNECT_FOR_MS = 30000;
const CONNECT_WITHIN_MS = 10000;
const REAPPEAR_WITHIN_MS = 6000;

const byId = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const randomId = () => crypto.randomUUID();

function say(text, bad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", bad);
}

// Browsers send audio again when they are asked to (NACK, RFC 4585), but do not say so by themselves.
function withNack({ type, sdp }) {
  return { type, sdp: sdp.replace(/a=rtpmap:(\d+) opus\/48000\/2\r\n/g, "$&a=rtcp-fb:$1 nack\r\n") };
}

// One other participant, and the connection to it.
class Peer {
  constructor(room, participant) {
    this.room = room;
    this.element = document.createElement("li");
    this.audio = new Audio();
    this.audio.autoplay = true;
    document.body.append(this.audio);
    this.work = Promise.resolve();
    this.early = [];
    this.update(participant);
  }

  update(participant) {
    this.state = participant;
    const { uid, muted, recording, away } = participant;
    showPerson(this.element, uid, { muted, recording, note: away ? "reconnecting" : this.note() });
  }

  note() {
    const state = this.connection?.connectionState ?? "new";
    this.element.dataset.state = state;
    return state === "connected" ? "" : state === "failed" ? "unreachable" : "connecting";
  }

  // The later one in the room offers to those who were there.
  get offers() { return this.room.number > this.state.number; }

  get alive() { return this.connection?.connectionState === "connected"; }

  open(call) {
    this.close();
    const connection = this.connection = new RTCPeerConnection({ iceServers: this.room.iceServers });
    this.call = call;
    this.early = [];
    for (const track of this.room.microphone.getTracks()) {
      connection.addTrack(track, this.room.microphone);
    }
    connection.ontrack = ({ track, streams }) => {
      this.audio.srcObject = streams[0] ?? new MediaStream([track]);
    };
    connection.onicecandidate = ({ candidate }) => {
      this.send({ type: "candidate", candidate: candidate && candidate.toJSON() });
    };
    connection.onconnectionstatechange = () => {
      this.update(this.state);
      // A browser needs half a minute to call a path failed.
      if (connection.connectionState === "disconnected") this.retry(3000);
      if (connection.connectionState === "failed") this.retry(1000);
    };
    if (this.offers) this.retry(CONNECT_WITHIN_MS);
    return connection;
  }

  send(message) { this.room.send({ ...message, to: this.state.uid, call: this.call }); }

  retry(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (this.offers && !this.alive) this.offer(); }, delay);
  }

  offer() { this.then(async () => {
    const connection = this.open(randomId());
    await connection.setLocalDescription(withNack(await connection.createOffer()));
    this.send(connection.localDescription.toJSON());
  }); }

  deliver(message) { this.then(async () => {
    if (message.type === "offer") {
      const connection = this.open(message.call);
      await connection.setRemoteDescription({ type: "offer", sdp: message.sdp });
      await connection.setLocalDescription(withNack(await connection.createAnswer()));
      this.send(connection.localDescription.toJSON());
    } else if (message.call !== this.call) {
      return;
    } else if (message.type === "answer") {
      await this.connection.setRemoteDescription({ type: "answer", sdp: message.sdp });
    } else if (this.connection.remoteDescription) {
      await this.connection.addIceCandidate(message.candidate ?? undefined);
    } else {
      this.early.push(message);
      return;
    }
    this.early.splice(0).forEach((candidate) => this.deliver(candidate));
  }); }

  then(step) {
    this.work = this.work.then(step).catch((error) => {
      console.warn(`connecting to ${this.state.uid}:`, error);
      this.retry(2000);
    });
  }

  close() {
    clearTimeout(this.timer);
    this.connection?.close();
    this.connection = null;
  }

  remove() {
    this.then(() => this.close());
    this.close();
    this.audio.srcObject = null;
    this.audio.remove();
    this.element.remove();
  }
}

class Room {
  constructor(name, uid, token, microphone) {
    Object.assign(this, { name, uid, token, microphone });
    this.refusal = null;
    this.session = randomId();
    this.peers = new Map();
    this.muted = false;
    this.agrees = null;  // to be recorded; nobody has asked, or there is no answer yet
    this.element = document.createElement("li");
    this.lostAt = null;
    this.iceServers = [];
  }

  connect() {
    const socket = this.socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.onopen = () => this.send({
      type: "join", room: this.name, uid: this.uid, session: this.session,
      token: this.token || null, resume: this.resume ?? null, muted: this.muted, recording: false,
      agrees: this.agrees,
    });
    socket.onmessage = ({ data }) => this.handle(JSON.parse(data));
    socket.onclose = () => this.dropped();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  handle(message) {
    const peer = this.peers.get(message.from ?? message.uid ?? message.participant?.uid);
    switch (message.type) {
      case "welcome": return this.welcomed(message);
      case "joined": return this.admit(message.participant);
      case "state": peer?.update(message.participant); return this.show();
      case "left": if (peer?.state.session === message.session) this.forget(peer); return;
      case "offer": case "answer": case "candidate": return peer?.deliver(message);
      case "refused":
        // Who was in the room goes on trying: it may pass, and the calls do not need the server.
        if (!this.resume) return this.end(message.message, true);
        this.refusal = message.message;
        return;
      case "error": console.warn("the server:", message.message);
    }
  }

  welcomed(message) {
    const restarted = this.server !== undefined && this.server !== message.server;
    Object.assign(this, { server: message.server, resume: message.resume, number: message.number,
      iceServers: message.ice_servers ?? [], lostAt: null, refusal: null });
    const present = new Set(message.participants.map(({ session }) => session));
    for (const peer of [...this.peers.values()]) {
      if (restarted) {
        // Everybody has to come back now, and media flows meanwhile.
        this.forgetUnlessBack(peer);
      } else if (!message.resumed || !present.has(peer.state.session)) {
        // Whom the server gave up, the others gave up, too.
        this.forget(peer);
      }
    }
    message.participants.forEach((participant) => this.admit(participant));
    say("");
    this.show();
  }

  admit(participant) {
    let peer = this.peers.get(participant.uid);
    if (peer && peer.state.session !== participant.session) { this.forget(peer); peer = null; }
    if (!peer) {
      peer = new Peer(this, participant);
      this.peers.set(participant.uid, peer);
    }
    peer.server = this.server;
    peer.update(participant);
    if (peer.offers && !peer.connection) peer.offer();
    this.show();
  }

  // The call does not need the server: who is connected stays, back or not.
  forgetUnlessBack(peer) {
    setTimeout(() => {
      if (this.peers.get(peer.state.uid) !== peer || peer.server === this.server) return;
      if (peer.alive) this.forgetUnlessBack(peer); else this.forget(peer);
    }, REAPPEAR_WITHIN_MS);
  }

  forget(peer) {
    if (this.peers.get(peer.state.uid) === peer) this.peers.delete(peer.state.uid);
    peer.remove();
    this.show();
  }

  show() {
    byId("title").textContent = this.name;
    showPerson(this.element, `${this.uid} (you)`, { muted: this.muted });
    byId("people").replaceChildren(this.element, ...[...this.peers.values()].map((peer) => peer.element));
    const tapers = [...this.peers.values()].filter((peer) => peer.state.recording).map((peer) => peer.state.uid);
    byId("taped").hidden = tapers.length === 0;
    byId("taped-by").textContent = `${tapers.join(", ")} ${tapers.length === 1 ? "is" : "are"} recording`;
    const asking = [...this.peers.values()].filter((peer) => peer.state.asks).map((peer) => peer.state.uid);
    byId("asked").hidden = asking.length === 0;
    byId("asked-by").textContent = {
      null: `${asking.join(", ")} ${asking.length === 1 ? "asks" : "ask"} to record you. You are not recorded until you agree.`,
      true: "You agreed to be recorded.",
      false: "You are not recorded.",
    }[String(this.agrees)];
    byId("agree").hidden = this.agrees === true;
    byId("decline").hidden = this.agrees === false;
    byId("decline").textContent = this.agrees ? "Record me no longer" : "Do not record me";
    byId("mute").setAttribute("aria-pressed", String(this.muted));
    byId("mute").textContent = this.muted ? "Unmute" : "Mute";
  }

  setMuted(muted) {
    this.muted = muted;
    this.microphone.getTracks().forEach((track) => { track.enabled = !muted; });
    this.send({ type: "state", muted });
    this.show();
  }

  setAgrees(agrees) {
    this.agrees = agrees;
    this.send({ type: "state", agrees });
    this.show();
  }

  dropped() {
    if (this.ended) return;
    if (!this.resume) return this.end("The server cannot be reached.", true);
    if (this.lostAt === null || [...this.peers.values()].some((peer) => peer.alive)) this.lostAt = Date.now();
    if (Date.now() - this.lostAt > RECONNECT_FOR_MS) {
      return this.end(this.refusal ?? "The connection to the server was lost.", true);
    }
    say("Reconnecting … Nobody can join until then.");
    setTimeout(() => { if (!this.ended) this.connect(); }, 500 + 500 * Math.random());
  }

  end(text, bad = false) {
    if (this.ended) return;
    this.ended = true;
    this.send({ type: "leave" });
    this.socket.close(1000);
    this.peers.forEach((peer) => peer.remove());
    this.microphone.getTracks().forEach((track) => track.stop());
    byId("call").hidden = true;
    byId("join").hidden = false;
    say(text, bad);
  }
}

function showPerson(element, name, { muted, recording, note }) {
  const part = (kind, text) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;  // never markup: names are anybody's text
    return span;
  };
  const tags = [note && part("tag", note), muted && part("tag", "muted"), recording && part("tag recording", "● recording")];
  element.replaceChildren(part("name", name), ...tags.filter(Boolean));
}

let room = null;

async function join() {
  const processed = !query.has("raw");
  let microphone;
  say("Waiting for the microphone …");
  try {
    if (!navigator.mediaDevices) throw new Error("browsers allow one on secure sites and on this machine only");
    microphone = await navigator.mediaDevices.getUserMedia({ audio: {
      echoCancellation: processed, noiseSuppression: processed, autoGainControl: processed } });
  } catch (error) {
    say(`No microphone: ${error.message}`, true);
    return;
  }
  byId("join").hidden = true;
  byId("call").hidden = false;
  room = new Room(byId("room").value.trim(), byId("uid").value.trim(), byId("token").value.trim(), microphone);
  room.show();
  say("Joining …");
  room.connect();
}

for (const key of ["room", "uid", "token"]) byId(key).value = query.get(key) ?? "";
byId("join").onsubmit = (event) => { event.preventDefault(); join(); };
byId("mute").onclick = () => room.setMuted(!room.muted);
byId("agree").onclick = () => room.setAgrees(true);
byId("decline").onclick = () => room.setAgrees(false);
byId("leave").onclick = () => room.end("You have left the room.");
addEventListener("pagehide", () => room?.end(""));
if (query.has("autojoin")) {
  for (const key of ["room", "uid", "token"]) byId(key).closest("label").hidden = Boolean(byId(key).value) || key === "token";
  say(`“Join” lets everybody in the room “${byId("room").value}” hear your microphone.`);
}
