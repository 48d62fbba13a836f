-- Posts the JSON given after `--`, and prints the result as one line of JSON. With a second
-- argument, so many requests a second: each waits for its time, or for a connection to be free.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, nanoseconds; } timespec; int clock_gettime(int, timespec *);")
local MONOTONIC = 1
local clock = ffi.new("timespec")

local function now_ms()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) * 1e3 + tonumber(clock.nanoseconds) / 1e6
end

function init(arguments)
  wrk.method = "POST"
  wrk.body = arguments[1]
  wrk.headers["Content-Type"] = "application/json"
  local rate = tonumber(arguments[2])
  if rate then
    local next_ms = 0
    function delay()
      local now = now_ms()
      next_ms = math.max(next_ms, now) + 1e3 / rate
      return next_ms - now
    end
  end
end

local line = 'RESULT {"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"refused":%d,"errors":%d}\n'

function done(summary, latency)
  local failed = summary.errors
  local errors = failed.connect + failed.read + failed.write + failed.timeout
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  local seconds = summary.duration / 1e6
  io.write(string.format(line, summary.requests, seconds, p50, p99, failed.status, errors))
end
