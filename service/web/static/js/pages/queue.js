// The queue: follow runs as they start and end.
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const REFRESH_MILLISECONDS = 2000;

const refresh = throttle(() => refreshParts("queue"), REFRESH_MILLISECONDS);
subscribe("/v1/events", document.getElementById("live").dataset.mark, refresh);
