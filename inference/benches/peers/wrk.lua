-- Posts the JSON given after `--`, and prints the result as one line of JSON. With a second
-- argument every connection pauses for about so many milliseconds before a request.

function init(arguments)
  wrk.method = "POST"
  wrk.body = arguments[1]
  wrk.headers["Content-Type"] = "application/json"
  local pause = tonumber(arguments[2])
  if pause then
    function delay()
      return pause * (0.5 + math.random())
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
