// api.js -- the few calls this page makes.

export async function get(path) {
  const reply = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.detail);
  return body;
}

// How many there are of something: exact up to 100, "100+" beyond.
export async function count(path) {
  const list = await get(`${path}${path.includes("?") ? "&" : "?"}limit=100`);
  return list.has_more ? `${list.data.length}+` : `${list.data.length}`;
}

// Events after `seq`, for ever. EventSource comes back by itself and resumes by the last id.
export function listen(seq, { onEvent, onOpen, onLost }) {
  const source = new EventSource(`/v1/events?after=${seq}`);
  source.onopen = onOpen;
  source.onerror = () => {
    onLost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
  source.onmessage = (message) => onEvent(JSON.parse(message.data));
  return source;
}
