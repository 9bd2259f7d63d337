// The list of studies, kept up to date while it is looked at.
import { tellTimes } from "../kit/format.js";
import { follow, renew, seldom } from "../kit/stream.js";

document.addEventListener("renewed", () => tellTimes());
tellTimes();
follow(
  "/v1/events",
  document.getElementById("live").dataset.mark,
  seldom(() => renew("list"), 1500),
);
