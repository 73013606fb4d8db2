import type { Server } from "node:http";
import type { Socket } from "node:net";

/** The connections of a server, by what has been seen on them. */
export interface Connections {
  /** A request on it has shown a right token: from now on it has one of the places that are kept for such. */
  admit(socket: Socket): void;
}

interface Place {
  isAdmitted: boolean;
  /** Requests on it that are not answered. */
  busy: number;
}

/** In ms, how long senders may take and connections are kept. */
export const SERVER_OPTIONS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Node looks for slow senders this often; by itself only every 30 s. */
  connectionsCheckingInterval: 500,
  /** A proxy that keeps connections for later keeps them for a minute; who closes first must be the proxy. */
  keepAliveTimeout: 75_000,
};
/** Beyond its places a server takes this many connections, to choose which of all is to go. */
export const SPARE_CONNECTIONS = 20;
/** Of all places, the part for connections that have shown no token. */
const STRANGERS_PART = 5;

/**
 * Bounds the connections of a server so that those who have shown no token cannot take the places of those who have:
 * strangers have a fifth of the places, and when these are taken the one that has been idle longest makes room for
 * the next. When all places are taken, whoever has been idle longest makes room, strangers first.
 * @param limit all places
 */
export function boundConnections(server: Server, limit: number): Connections {
  const strangersLimit = Math.max(1, Math.floor(limit / STRANGERS_PART));
  // In the order in which they were last of use.
  const places = new Map<Socket, Place>();

  function close(isFit: (place: Place) => boolean, besides: Socket): boolean {
    for (const [socket, place] of places) {
      if (socket === besides || place.busy > 0 || !isFit(place)) continue;
      places.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  function makeRoom(newest: Socket): void {
    const isStranger = ({ isAdmitted }: Place) => !isAdmitted;
    const strangers = [...places.values()].filter(isStranger).length;
    const isMade =
      (strangers <= strangersLimit || close(isStranger, newest)) &&
      (places.size <= limit || close(isStranger, newest) || close(() => true, newest));
    if (isMade) return;
    places.delete(newest);
    newest.destroy();
  }

  function moveToEnd(socket: Socket): void {
    const place = places.get(socket);
    if (!place) return;
    places.delete(socket);
    places.set(socket, place);
  }

  server.on("connection", (socket: Socket) => {
    places.set(socket, { isAdmitted: false, busy: 0 });
    socket.once("close", () => places.delete(socket));
    makeRoom(socket);
  });
  server.on("request", ({ socket }, response) => {
    const place = places.get(socket);
    if (!place) return;
    place.busy++;
    response.once("close", () => {
      place.busy--;
      moveToEnd(socket);
    });
  });
  return {
    admit(socket) {
      const place = places.get(socket);
      if (place) place.isAdmitted = true;
    },
  };
}
