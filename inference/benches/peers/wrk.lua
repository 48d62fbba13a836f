-- Posts the JSON given after `--`, and prints the result as one line of JSON.

function init(arguments)
  wrk.method = "POST"
  wrk.body = arguments[1]
  wrk.headers["Content-Type"] = "application/json"
end

local line = 'RESULT {"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"errors":%d}\n'

function done(summary, latency)
  local errors = 0
  for _, kind in ipairs({ "connect", "read", "write", "status", "timeout" }) do
    errors = errors + summary.errors[kind]
  end
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  io.write(string.format(line, summary.requests, summary.duration / 1e6, p50, p99, errors))
end
