// The pages of datasets: times relative to now.
import { showRelativeTimes } from "../kit/format.js";

showRelativeTimes();
