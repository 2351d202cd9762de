# Agents of stormctl, for one run. A restarted agent would join midway, which none may.
job "stormctl-agent" {
  type = "batch"

  group "agent" {
    count = {{.N}}

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "agent" {
      driver       = "docker"
      kill_timeout = "60s"

      config {
        image = "{{.Image}}"
        args  = ["agent", "--name=agent-${NOMAD_ALLOC_INDEX}", "--allow={{.Allow}}", "--loops={{.Cores}}", "--dir=${NOMAD_ALLOC_DIR}"]
      }

      template {
        data        = "STORMCTL_JOIN={{.Join}}\n"
        destination = "secrets/join.env"
        env         = true
      }

      resources {
        cores  = {{.Cores}}
        memory = 512
      }
    }
  }
}
